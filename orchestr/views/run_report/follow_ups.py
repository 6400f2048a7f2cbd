"""Follow-ups as a spec: YAML that `validate` accepts and that can be cut and copied.

Pure. A cell of the old spec becomes a cell of the new one, with its repository and what is left of
it as `todo:`. The order is that of the items; a text is never changed but for characters that a
spec refuses.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from orchestr.views.run_report.model import FollowUp

# The cells of the spec are named like those that they follow; the key, and so the branches, differ.
REFUSED = ("Cc", "Cf", "Cs", "Cn")  # categories of characters
NOTHING = "# no follow-ups\n"


def follow_ups_yaml(found: Sequence[tuple[str, FollowUp]], name: str) -> str:
    """A spec `NAME-follow-ups` with all items; ``found`` are pairs of feature and item.

    With several features a cell is called FEATURE-CELL. A comment alone where nothing is left.
    """
    if not found:
        return NOTHING
    import yaml

    many = len({feature for feature, _ in found}) > 1
    cells: dict[str, dict[str, Any]] = {}
    for feature, item in found:
        cell = cells.setdefault(
            _cell_name(feature, item.cell, many=many), {"repo": item.repo, "todo": []}
        )
        cell["todo"] += [text for text in map(todo_text, _item_texts(item)) if text]
    for cell in cells.values():
        cell["todo"] = list(dict.fromkeys(cell["todo"]))
    title = f"Follow-ups of {', '.join(dict.fromkeys(feature for feature, _ in found))}"
    spec = {
        "apiVersion": "orchestr/v1",
        "kind": "Feature",
        "metadata": {"name": f"{name}-follow-ups" if name else "follow-ups", "title": title},
        "cells": cells,
    }
    text: str = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, width=96)
    return "# Keep what you want: its todo items go into any spec.\n" + text


def _cell_name(feature: str, cell: str, *, many: bool) -> str:
    return f"{feature}-{cell}".replace("_", "-") if many else cell


def _item_texts(item: FollowUp) -> list[str]:
    """The texts of an item, with who said it; a skipped cell's own todo stands as it was."""
    if item.kind == "skipped":
        return list(item.todo)
    if item.kind == "last_words":
        return [f"{item.source}:\n{text}" for text in item.todo]
    return [f"{text} [{item.source}]" for text in item.todo]


def todo_text(text: str) -> str:
    """The text without what a spec refuses or what turns text around, and blanks at its ends."""
    lines = re.sub(r"\r\n?|[\u0085\u2028\u2029]", "\n", text)
    kept = (c for c in lines if c in "\n\t" or unicodedata.category(c) not in REFUSED)
    return "".join(kept).strip()
