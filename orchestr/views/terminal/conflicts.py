"""The forecast of conflicts in words and as JSON: a line a conflict, what will happen, what to do.

Pure. `orchestr.landing.forecast` says what is expected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestr.state.states import CellState
from orchestr.views.terminal.text import clean_line

if TYPE_CHECKING:
    from orchestr.landing.forecast import ConflictForecast, ExpectedConflict, PublishedHead

FILES = 3  # named in a line
LINES = 10  # conflicts that a text shows


def conflict_lines(
    forecast: ConflictForecast | None, feature: str = "", cell: str = "", *, indent: str = ""
) -> list[str]:
    """A line a conflict and its hint, then the notes. ``feature``: whose cells need no feature in
    their names; ``cell``: only what concerns it."""
    if forecast is None:
        return []
    name = f"{feature}:{cell}"
    found = [one for one in forecast.conflicts if not cell or name in one.names]
    found.sort(key=lambda one: not one.left)
    lines = []
    for one in found[:LINES]:
        mark = CellState.MERGE_CONFLICT.symbol if one.left else CellState.PENDING.symbol
        lines.append(f"{mark} {conflict_words(one, feature)}: {one.outcome}")
        lines += [f"  hint: {clean_line(one.hint)}"] if one.hint else []
    if len(found) > LINES:
        lines.append(f"and {len(found) - LINES} more conflicts are expected (--json has them all)")
    lines += [f"! {clean_line(note)}" for note in forecast.notes] if not cell else []
    return [f"{indent}{line}" for line in lines]


def conflict_words(one: ExpectedConflict, feature: str = "") -> str:
    """`api and pay:api will conflict in notes.txt`."""
    names = [shown_name(head, feature) for head in (one.pair.second, one.pair.first)]
    shown = ", ".join(map(clean_line, one.paths[:FILES]))
    more = f" and {len(one.paths) - FILES} more" if len(one.paths) > FILES else ""
    return f"{names[0]} will conflict with {names[1]} in {shown}{more}"


def shown_name(head: PublishedHead, feature: str = "") -> str:
    """A head as a person knows it."""
    if head.kind.value == "target":
        return str(head.lane)
    return clean_line(head.name.removeprefix(f"{feature}:") if feature else head.name)


def conflicts_json(forecast: ConflictForecast | None) -> list[dict[str, Any]]:
    """Every conflict as docs/json.md describes it."""
    return [
        {
            "repo": one.pair.second.lane.repo,
            "target": one.pair.second.lane.target,
            "first": one.pair.first.name,
            "first_kind": one.pair.first.kind.value,
            "second": one.pair.second.name,
            "second_kind": one.pair.second.kind.value,
            "paths": list(one.paths),
            "unresolved": list(one.left),
            "rung": one.rung.value or None if not one.left else None,
            "outcome": one.outcome,
            "hint": one.hint or None,
        }
        for one in (forecast.conflicts if forecast is not None else ())
    ]
