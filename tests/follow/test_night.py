"""A scripted night on the local forge: three repositories, seven cells, everything that comes back
from open pull requests. It ends with all of them mergeable, and the agents' rounds are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import git
from tests.e2e.workspace import Workspace
from tests.follow.test_rounds import (
    Make,
    ci,
    commit_on_main,
    follow,
    followed,
    push_to_branch,
    statuses,
)

__all__ = ["followed"]
pytestmark = pytest.mark.slow
REPOS = ("proto", "app", "web")
CELLS: dict[str, dict[str, Any]] = {
    "api": {"repo": "proto"},
    "core": {"repo": "proto", "depends_on": ["api"]},
    "app": {"repo": "app", "depends_on": ["api"]},
    "app-ui": {"repo": "app", "depends_on": ["app"]},
    "extra": {"repo": "app"},
    "web": {"repo": "web"},
    "docs": {"repo": "web"},
}
GOOD_IN_A_ROUND = 'test -n "$ORCHESTR_ROUND" && echo good > {0}.txt || echo bad > {0}.txt'
RESOLVE = 'if grep -qs "<<<<" app.txt; then echo both > app.txt; else echo mine > app.txt; fi'


def until(ws: Workspace, done: Callable[[dict[str, dict[str, Any]]], bool]) -> dict[str, Any]:
    """Look until it is so; a night has many looks, and it must not need more than these."""
    for _ in range(6):
        rows = follow(ws, code=None)
        if done(rows):
            return rows
    raise AssertionError(rows)


def all_good(rows: dict[str, dict[str, Any]]) -> bool:
    return all(row["state"] == "good" for row in rows.values())


def test_a_night(followed: Make) -> None:
    ws = followed(CELLS, repos=REPOS)
    ws.script("api", GOOD_IN_A_ROUND.format("api"))
    ws.script("docs", GOOD_IN_A_ROUND.format("docs"))
    ws.script("app", RESOLVE)
    ws.script("core", 'echo "round $ORCHESTR_ROUND" >> core.txt')
    ws.script("extra", 'echo "round $ORCHESTR_ROUND" >> extra.txt')
    ws.run("run", "demo", code=0)
    begun = Counter(line.split()[0] for line in ws.starts())
    assert begun == dict.fromkeys(CELLS, 1)

    # CI: really red, flaky, red because of an upstream, red on the base as well.
    ci(ws, "T-1-docs", 'grep -q good docs.txt || { echo "docs.txt:1: error: bad"; exit 1; }')
    ci(ws, "T-1-web", f"test -e {ws.agents}/seen || {{ : > {ws.agents}/seen; exit 1; }}")
    # People: a comment, a change request, a push, a close, a merge, a conflict.
    ws.run("comment", ws.result("core", "pr-url"), "rename it", "--as", "rita",
           "--on", "core.txt:1", code=0)  # fmt: skip
    asks = ("comment", ws.result("extra", "pr-url"), "too slow", "--as", "rita")
    ws.run(*asks, "--request-changes", code=0)
    pushed = push_to_branch(ws, "app", "T-1-app-ui", {"app-ui.txt": "a person's\n"})
    commit_on_main(ws, "app", {"app.txt": "theirs\n"})
    ws.run("comment", ws.result("web", "pr-url"), "--close", "--as", "rita", code=0)

    rows = until(ws, lambda rows: rows["docs"]["state"] == "good")
    assert rows["web"]["state"] == "person"
    assert ws.status()["web"]["state"] == "needs_person"
    ws.run("comment", ws.result("web", "pr-url"), "--reopen", "--as", "rita", code=0)
    ws.run("comment", ws.result("extra", "pr-url"), "fine now", "--as", "rita", "--approve", code=0)
    rows = until(ws, all_good)
    assert ws.show("app", "app.txt", "app") == "both"
    assert ws.show("app-ui", "app-ui.txt", "app").startswith("a person's")
    inside = ("merge-base", "--is-ancestor", pushed, ws.head("app-ui", "app"))
    assert git(ws.repos / "app.git", *inside) == ""

    # Downstream is red, and its output names what the upstream changed.
    ci(ws, "T-1-app", "test -e upstream-ok || { echo '../proto/api.txt:1: error: bad'; exit 1; }")
    ws.script("app", f'{RESOLVE}\ncp "$ORCHESTR_UPSTREAM_API_WORKTREE/api.txt" upstream-ok')
    commit = git(ws.repos / "app.git", "rev-parse", "T-1-app")
    (ws.root / ".orchestr/forge/app/ci").joinpath(f"{commit}.json").unlink()
    rows = until(ws, all_good)
    assert ws.show("api", "api.txt", "proto") == "good"

    # A pull request is merged by hand, and the stack above it goes on.
    git(ws.repos / "proto.git", "update-ref", "refs/heads/main", ws.head("api", "proto"))
    rows = until(ws, all_good)
    assert rows["api"]["why"] == "merged"
    assert ws.pr("core")["base"] == "main"
    assert statuses(ws, "web") == ["success", "success"]

    ended = Counter(line.split()[0] for line in ws.starts())
    rounds = {cell: ended[cell] - 1 for cell in CELLS}
    assert {cell: rounds[cell] for cell in ("docs", "web", "core", "extra", "api")} == {
        "docs": 1, "web": 0, "core": rounds["core"], "extra": 1, "api": 1,
    }  # fmt: skip
    assert rounds["core"] <= 2  # its comment, and its upstream's new tree
    assert rounds["app"] <= 2  # its conflict, and its upstream's new tree
    before = ws.starts()
    follow(ws)
    assert ws.starts() == before
