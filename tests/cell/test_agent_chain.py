"""Whose turn it is among several agents of a cell."""

from __future__ import annotations

import pytest

from orchestr.cell.agent_chain import choose_author, find_follower
from orchestr.state.attempts import Attempt

CHAIN = ("claude", "codex", "gemini")


def attempt(
    agent: str, outcome: str, *, key: str = "k", of: str = "", followed: bool = False
) -> Attempt:
    return Attempt(3, key, agent, "c", outcome=outcome, of=of, followed=followed)


@pytest.mark.parametrize(
    ("newest", "author"),
    [
        (None, "claude"),
        (attempt("claude", "failed", followed=True), "codex"),
        (attempt("codex", "failed", followed=True), "gemini"),
        (attempt("codex", "failed"), "codex"),  # a reached budget: no fault of the agent's
        (attempt("gemini", "failed", followed=True), "gemini"),  # `retry`
        (attempt("gemini", "failed"), "claude"),  # all have failed: a later run begins again
        (attempt("codex", "aborted"), "codex"),  # stopped: its session goes on
        (attempt("codex", "done"), "claude"),  # forced: the work begins again
        (attempt("codex", "superseded"), "claude"),
        (attempt("claude", "failed", key="other"), "claude"),  # other work
        (attempt("claude", "failed", of="docs"), "claude"),
        (attempt("qwen", "failed"), "claude"),  # it is in the chain no more
    ],
)
def test_who_works_next(newest: Attempt | None, author: str) -> None:
    assert choose_author(CHAIN, newest, "k") == author


def test_in_one_run_nobody_follows_the_last_one() -> None:
    followers = [find_follower(CHAIN, agent) for agent in (*CHAIN, "qwen")]
    assert followers == ["codex", "gemini", None, None]
    assert choose_author(("claude",), attempt("claude", "failed"), "k") == "claude"
