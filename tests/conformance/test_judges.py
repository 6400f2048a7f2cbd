"""The judges by evidence alone: each promise has evidence that keeps it and some that breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestr.conformance.evidence import Evidence
from orchestr.conformance.promises import PROMISES, find_promise
from orchestr.conformance.script import Asked


def exited(session: str | None = "s", reason: str = "exited") -> dict[str, Any]:
    return {"kind": "attempt.exited", "data": {"session": session, "reason": reason}}


OPENED = {"kind": "attempt.opened"}
ADOPTED = {"kind": "attempt.adopted"}
ASKED = (Asked("/v1/messages", 0, "ORCHESTR-GUIDE-7351 do it", {}, {}),)
RED = (*ASKED, Asked("/v1/messages", 1, "they ran, and they are red", {}, {}))
ALL = {"a.txt": "one\ntwo\n", "env.txt": "HOME=/h\n", "log": "a\n"}
DONE = Evidence(state="done", files=ALL, events=(OPENED, exited()), asked=ASKED,
                tokens=(1000, 200, 50), billed=(1000, 200, 50))  # fmt: skip
TWICE = replace(DONE, files={**ALL, "a.txt": "one\none\ntwo\n"})
FAILED = replace(DONE, state="failed", reason="exit 1")
TWO_STARTS = (OPENED, exited("s"), exited("s"))
NEW_SESSION = (OPENED, exited("s"), exited("t"))
ENDED = replace(FAILED, reason="the budget of attempt 1 is reached", billed=(3000, 600, 150))

CASES: dict[str, tuple[Evidence, list[Evidence]]] = {
    "work": (DONE, [FAILED, TWICE, replace(DONE, files={})]),
    "guide": (DONE, [replace(DONE, asked=(Asked("/", 0, "do it", {}, {}),))]),
    "cost": (DONE, [replace(DONE, tokens=None), replace(DONE, billed=(2000, 400, 100))]),
    "secrets": (DONE, [
        replace(DONE, files={**ALL, "env.txt": "X=gho_orchestr_not_for_agents"}),
        replace(DONE, files={"a.txt": "one"}),
    ]),
    "push": (DONE, [replace(DONE, branches=frozenset({"main", "stray"}))]),
    "refused-tool": (DONE, [replace(DONE, other=("GET /stray",)), FAILED]),
    "refused-commit": (DONE, [replace(DONE, files={**ALL, "log": "unasked"}), FAILED]),
    "survivors": (DONE, [replace(DONE, survivors=("7 sleep 600",))]),
    "strays": (DONE, [replace(DONE, strays=("example.org:443",))]),
    "repair": (
        replace(DONE, files={"a.txt": "good\n"}, asked=RED),
        [FAILED, DONE, replace(DONE, files={"a.txt": "good\n"})],
    ),
    "limit-time": (replace(DONE, refused=2, events=TWO_STARTS), [
        DONE,  # never met
        replace(DONE, refused=2, events=NEW_SESSION),
        replace(DONE, refused=99),
        replace(DONE, refused=2, events=(OPENED, OPENED, exited())),
        replace(FAILED, refused=2),
    ]),
    "limit": (replace(DONE, refused=2), [replace(DONE, refused=99), FAILED]),
    "server-error": (replace(DONE, refused=2), [DONE, replace(FAILED, refused=4)]),
    "dropped": (replace(DONE, refused=2), [DONE, replace(TWICE, refused=2)]),
    "cut": (FAILED, [replace(DONE, files={"a.txt": "one\n"})]),
    "silence": (replace(FAILED, reason="said nothing for 4 s"), [
        DONE, FAILED, replace(FAILED, reason="said nothing for 4 s", survivors=("7 x",)),
    ]),
    "hang": (replace(DONE, events=(OPENED, exited(reason="after_result"))), [DONE, FAILED]),
    "long": (DONE, [replace(DONE, transcript=14 << 20), FAILED]),
    "int": (DONE, [TWICE, replace(DONE, survivors=("7 x",))]),
    "term": (DONE, [TWICE, FAILED]),
    "kill": (replace(DONE, events=(OPENED, ADOPTED, exited())), [
        DONE, replace(DONE, events=(OPENED, OPENED, ADOPTED)),
    ]),
    "budget": (ENDED, [
        DONE, replace(ENDED, reason="exit 1"), replace(ENDED, billed=(5000, 0, 250)),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.name)
def test_a_promise_is_kept_and_can_be_broken(promise: Any) -> None:
    kept, broken = CASES[promise.name]
    assert promise.judge(kept) == ""
    assert broken
    assert all(promise.judge(seen) for seen in broken)


def test_why_it_is_not_kept() -> None:
    assert find_promise("work").judge(TWICE) == "work was done twice: one, one, two"
    assert find_promise("work").judge(FAILED) == "failed: exit 1"
    half = replace(DONE, files={**ALL, "a.txt": "one\n"})
    assert find_promise("work").judge(half) == "the branch holds one"
    assert find_promise("cost").judge(half) == ""
