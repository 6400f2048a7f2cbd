"""What the feature is for, as a part of prompts: its intent, its bounds, what can be seen of it.

Pure. A change of it alone builds nothing again: no phase has it in its digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestr.spec.product import Structure
from orchestr.spec.records import Feature


def describe_goal(feature: Feature) -> str:
    """Markdown without a heading; empty where the spec says nothing of it."""
    parts = [feature.intent.strip()] if feature.intent else []
    if feature.done_means:
        parts.append("It is done when:\n" + _format_items(feature.done_means))
    if feature.structure is not None:
        listed = _format_items(list_structure(feature.structure))
        parts.append(f"From outside, the {feature.product} has:\n{listed}")
    elif feature.product is not None:
        parts.append(f"The product is of the kind: {feature.product}.")
    if feature.non_goals:
        parts.append("Not part of it:\n" + _format_items(feature.non_goals))
    return "\n\n".join(parts)


def list_structure(structure: Structure) -> Iterator[str]:
    """What can be seen from outside, a line for each part; Markdown."""
    for route in structure.routes:
        shown = ", ".join(f'"{text}"' for text in route.text)
        yield f"the page `{route.path}`" + (f", which shows {shown}" if shown else "")
    if structure.entrypoint:
        yield f"the entrypoint `{structure.entrypoint}`"
    for command in structure.commands:
        yield _with_purpose(f"the command `{command.name}`", command.does)
    for function in structure.functions:
        yield _with_purpose(f"the function `{function.name}`", function.does)
    for endpoint in structure.endpoints:
        answer = f" (answers {endpoint.status})" if endpoint.status else ""
        yield _with_purpose(f"`{endpoint.method} {endpoint.path}`{answer}", endpoint.does)


def _with_purpose(what: str, does: str | None) -> str:
    return f"{what}: {does}" if does else what


def _format_items(items: Iterable[str]) -> str:
    return "\n".join("- " + item.strip().replace("\n", "\n  ") for item in items)
