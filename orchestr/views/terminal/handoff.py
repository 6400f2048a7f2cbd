"""A hand-off as a person reads it: what is in the way, the texts verbatim, what is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestr.handoff.readiness import Obstacle
from orchestr.handoff.records import HandoffAction, PullRequestText
from orchestr.views.terminal.text import clean_line, printable_line

RULE = "─" * 72


def obstacles_text(feature: str, obstacles: Sequence[Obstacle]) -> str:
    """What is not green, each with its way back."""
    lines = [f"{feature} cannot be handed over yet; nothing was touched:"]
    for one in obstacles:
        lines.append(f"  {one.cell or feature}: {clean_line(one.why)}")
        lines.append(f"      next: {one.command}")
    return "\n".join(lines) + "\n"


def texts_text(texts: Iterable[PullRequestText]) -> str:
    """Title and body of each pull request, verbatim, in merge order."""
    lines: list[str] = []
    for number, text in enumerate(texts, 1):
        state = "draft" if text.draft else "ready for review"
        lines += [
            RULE,
            f"{number}. {text.cell}: {text.url}, {state}, into {text.base}, at {text.head[:12]}",
            RULE,
            f"title: {clean_line(text.title)}",
            "",
            *(printable_line(line) for line in text.body.replace("\r\n", "\n").split("\n")),
            "",
        ]
    return "\n".join(lines) + "\n"


def actions_text(actions: Sequence[HandoffAction]) -> str:
    """What would be done, for a dry run and before it is asked."""
    if not actions:
        return "nothing to do: the pull requests are as chosen\n"
    return "".join(f"  {n}. {action.label}\n" for n, action in enumerate(actions, 1))


def action_line(action: HandoffAction) -> str:
    """One call and its answer."""
    where = f"{action.cell}: " if action.cell else ""
    return f"{where}{action.url or 'landing'}: {clean_line(action.result or '')}"
