"""Which calls a hand-off makes: from the texts that a person saw to a list of actions. Pure.

In merge order, only what differs from what the forge shows and what was chosen. Nothing here is
pushed: only a landing pushes, by its own rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestr.forges.base import PRState, PullRequest
from orchestr.handoff.records import ActionKind, Choice, HandoffAction, PullRequestText
from orchestr.state.results import digest


def digest_seen(pr: PullRequest) -> tuple[str, str, str]:
    """Digests of title, body and base as a person was shown them."""
    return digest(pr.title), digest(_plain(pr.body)), digest(pr.base)


def list_actions(
    texts: Sequence[PullRequestText], prs: Mapping[str, PullRequest], choice: Choice
) -> list[HandoffAction]:
    """What is to be done. ``texts`` stand in merge order, ``prs`` are by address."""
    actions = []
    for text in texts:
        pr = prs[text.url]
        if pr.state is not PRState.OPEN:
            continue
        if fields := differing_fields(text, pr):
            actions.append(HandoffAction(ActionKind.EDIT, text.cell, text.url, fields))
        if choice is not Choice.LEAVE and pr.draft:
            actions.append(HandoffAction(ActionKind.READY, text.cell, text.url))
    if choice is Choice.LAND and any(pr.state is PRState.OPEN for pr in prs.values()):
        actions.append(HandoffAction(ActionKind.LAND))
    return actions


def differing_fields(text: PullRequestText, pr: PullRequest) -> tuple[str, ...]:
    """The parts of a text that the forge does not show yet. Line ends do not count."""
    wanted = (("title", text.title, pr.title), ("body", _plain(text.body), _plain(pr.body)),
              ("base", text.base, pr.base))  # fmt: skip
    return tuple(name for name, ours, theirs in wanted if ours != theirs)


def find_change_since(text: PullRequestText, pr: PullRequest) -> str | None:
    """What someone changed since the person looked, in words; None for what we did ourselves."""
    if pr.state is PRState.CLOSED:
        return f"{pr.url} was closed"
    if pr.state is PRState.MERGED:
        return None
    if pr.head_sha != text.head:
        return f"{pr.url} has another head, {pr.head_sha[:12]}"
    wanted = (digest(text.title), digest(_plain(text.body)), digest(text.base))
    parts = zip(("title", "body", "base"), digest_seen(pr), text.seen, wanted, strict=True)
    changed = [name for name, now, seen, ours in parts if now not in (seen, ours)]
    return f"{' and '.join(changed)} of {pr.url} changed" if changed else None


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()
