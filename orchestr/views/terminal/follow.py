"""How a look at open pull requests is shown: a line for each cell, and what is to be done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from orchestr.views.terminal.text import clean_line, clip, format_clock

MARKS = {"good": "✓", "wait": "·", "person": "!", "left alone": "-"}


Rows = Sequence[Mapping[str, Any]]


def describe_look(
    at: str, features: Mapping[str, Rows], skipped: Mapping[str, str], away: str,
    ready: Collection[str] = (),
) -> str:  # fmt: skip
    """The table of one look at ``at`` (ISO-8601). A row has cell, state, why, hint and url;
    ``ready`` are the features whose pull requests can be handed over."""
    lines = []
    for feature, rows in features.items():
        width = max((len(str(row["cell"])) for row in rows), default=4)
        lines.append(f"{feature}, looked at {format_clock(at)}")
        for row in rows:
            mark = MARKS.get(str(row["state"]), "→")
            why = clip(clean_line(str(row["why"])), 200)
            lines.append(f"  {mark} {row['cell']!s:<{width}}  {why}")
            if row.get("hint"):
                lines.append(f"    {'':<{width}}  next: {row['hint']}")
        if feature in ready:
            lines.append(f"  next: orchestr handoff {feature}")
    lines += [f"{name}: not looked at, {why}" for name, why in skipped.items()]
    if away:
        lines.append(f"the forge could not be asked: {away}")
    return "\n".join(lines) + "\n" if lines else "no pull request is open\n"
