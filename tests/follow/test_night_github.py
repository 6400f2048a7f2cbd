"""The scripted night of `test_night` at GitHub: the stub, asked through the real `gh`.

Three repositories, seven cells, everything that comes back from open pull requests, and a forge
that fails twice in the middle. It ends with all of them mergeable; agents' rounds, answers and
points are counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git
from tests.crash.github_house import GitHubHouse
from tests.e2e.workspace import AGENT, both
from tests.follow.test_night import CELLS, GOOD_IN_A_ROUND, REPOS, RESOLVE, all_good
from tests.follow.test_rounds import commit_on_main, push_to_branch
from tests.forges.github_stub import GH, NO_GH

pytestmark = [pytest.mark.slow, pytest.mark.skipif(GH is None, reason=NO_GH)]
Rows = dict[str, dict[str, Any]]
Judge = Callable[["Night", str, str], list[str]]  # repository, commit -> the errors of its log
BUSY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}
SETTINGS: dict[str, Any] = {"follow": {"bundle": "0.1s"}}


class Night(GitHubHouse):
    """A workspace at GitHub, with a CI that says what ``judges`` of a branch say. ``flaky`` are
    branches whose next run is red for no reason."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.judges: dict[str, Judge] = {}
        self.flaky: set[str] = set()
        self.away = 0
        self.points: list[int] = []

    def run_ci(self, repos: Sequence[str] = REPOS) -> None:
        """CI of every open pull request and of every base, where a commit has no result yet."""
        for repo in repos:
            heads = self.heads(repo)
            branches = {pr["head"] for pr in self.prs(repo).values() if pr["state"] == "open"}
            for branch in sorted(branches | {"main"}):
                self._run_ci_on(repo, branch, heads[branch])

    def _run_ci_on(self, repo: str, branch: str, sha: str) -> None:
        known = {run["name"]: run for run in self.github.runs.get(sha, [])}
        if "ci" in known and known["ci"]["conclusion"] is not None:
            return
        judge = self.judges.get(branch)
        log = judge(self, repo, sha) if judge is not None else []
        if branch in self.flaky:
            self.flaky.discard(branch)
            log = ["error: connection reset by peer"]
        self.github.report_check(sha, "ci", "FAILURE" if log else "SUCCESS", log=log)

    def has(self, repo: str, sha: str, path: str, text: str) -> bool:
        """Whether a file of a commit contains a text."""
        names = git(self.repos / f"{repo}.git", "ls-tree", "--name-only", sha).split()
        return path in names and text in git(self.repos / f"{repo}.git", "show", f"{sha}:{path}")

    def look(self, repos: Sequence[str] = REPOS) -> Rows:
        """CI, then `follow --once`: the rows by cell."""
        self.run_ci(repos)
        done = self.run("follow", "demo", "--once", "--json", "--yes")
        assert done.returncode in (0, 1), both(done)
        value = json.loads(done.stdout.splitlines()[-1])
        self.away += bool(value["away"])
        self.points.append(value["points"])
        return {row["cell"]: row for row in value["features"]["demo"]}

    def until(self, is_so: Callable[[Rows], bool], repos: Sequence[str] = REPOS) -> Rows:
        """Look until it is so; a night must not need more looks than these."""
        for _ in range(6):
            rows = self.look(repos)
            if is_so(rows):
                return rows
        raise AssertionError(rows)

    def number(self, cell: str) -> int:
        return int(self.result(cell, "pr-url").rpartition("/")[2])

    def slug(self, cell: str) -> str:
        return f"o/{CELLS[cell]['repo']}"

    def answers(self, cell: str) -> list[str]:
        """What orchestr said in the conversations of a pull request."""
        key = self.github.key_of(self.number(cell), self.slug(cell))
        rows = self.github.said.get(key, [])
        bodies = [row["body"] for row in rows]
        bodies += [c["body"] for t in self.github.threads.get(key, []) for c in t["comments"]]
        return [body for body in bodies if "<!-- orchestr:answer" in body]


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    ws = Night.at_github(tmp_path / "w", CELLS, repos=REPOS, agent=AGENT, settings=SETTINGS)
    assert isinstance(ws, Night)
    yield ws
    ws.end()


def is_bad(path: str) -> Judge:
    """Red until the file is good, and the log names it."""

    def judge(ws: Night, repo: str, sha: str) -> list[str]:
        return [] if ws.has(repo, sha, path, "good") else [f"{path}:1: error: bad"]

    return judge


def is_bad_upstream(ws: Night, repo: str, sha: str) -> list[str]:
    """Red until the upstream's good work is used; the log names the upstream's file."""
    ok = ws.has(repo, sha, "upstream-ok", "good")
    return [] if ok else ["../proto/api.txt:1: error: bad"]


def test_a_refusal_for_one_pull_request_stops_no_other(tmp_path: Path) -> None:
    """A conversation is locked, a log may not be read, a check may not run again: for good."""
    ws = Night.at_github(tmp_path / "w", {"a": {}, "b": {}}, agent=AGENT, settings=SETTINGS)
    assert isinstance(ws, Night)
    try:
        ws.script("b", GOOD_IN_A_ROUND.format("b"))
        ws.script("a", 'echo "round $ORCHESTR_ROUND" >> a.txt')
        ws.run("run", "demo", code=0)
        urls = {pr["head"]: pr["number"] for pr in ws.prs().values()}
        ws.github.say_at(urls["T-1-a"], "rename it", "a.txt", 1)
        ws.judges["T-1-b"] = is_bad("b.txt")
        locked = {"body": {"message": "this conversation is locked"}, "times": 99}
        ws.github.fail(403, kind="POST pulls/N/comments", **locked)
        ws.github.fail(403, kind="GET actions/jobs", **locked)
        ws.github.fail(403, kind="POST actions/jobs", **locked)
        rows = ws.until(lambda rows: rows["b"]["state"] == "good", REPOS[1:2])
        assert rows["a"]["state"] == "person"
        assert "locked" in rows["a"]["why"]
        ws.github.faults.clear()
        ws.until(all_good, REPOS[1:2])
        key = ws.github.key_of(urls["T-1-a"], "o/app")
        said = [c["body"] for t in ws.github.threads[key] for c in t["comments"]]
        assert sum("<!-- orchestr:answer" in body for body in said) == 1, said
        assert Counter(ws.starts()) == {"a 1": 2, "b 1": 2}
    finally:
        ws.end()


def test_a_night_at_github(night: Night) -> None:
    ws, github = night, night.github
    ws.script("api", GOOD_IN_A_ROUND.format("api"))
    ws.script("docs", GOOD_IN_A_ROUND.format("docs"))
    ws.script("app", RESOLVE)
    for cell in ("core", "extra"):
        ws.script(cell, f'echo "round $ORCHESTR_ROUND" >> {cell}.txt')
    ws.run("run", "demo", code=0)
    assert Counter(line.split()[0] for line in ws.starts()) == dict.fromkeys(CELLS, 1)
    github.forget_counts()

    # CI: really red, flaky, red on the base as well.
    ws.judges["T-1-docs"] = is_bad("docs.txt")
    ws.flaky.add("T-1-web")
    github.report_check(ws.head("extra", "app"), "lint", "FAILURE", log=["error: old rule"])
    # People: a comment, a change request, a push, a close, a conflict.
    github.say_at(ws.number("core"), "rename it", "core.txt", 1, slug=ws.slug("core"))
    github.review(ws.number("extra"), "CHANGES_REQUESTED", "too slow", slug=ws.slug("extra"))
    pushed = push_to_branch(ws, "app", "T-1-app-ui", {"app-ui.txt": "a person's\n"})
    base = commit_on_main(ws, "app", {"app.txt": "theirs\n"})
    github.report_check(base, "lint", "FAILURE", log=["error: old rule"])
    # GitHub is out of order once, and says once that it was asked too much.
    github.fail(502, kind="POST pulls/N/comments")
    github.fail(403, kind="POST statuses", headers={"Retry-After": "1"}, body=BUSY)

    rows = ws.until(lambda rows: rows["docs"]["state"] == "good" == rows["web"]["state"])
    assert not [fault for fault in github.faults if fault.times], "both faults were met"
    assert ws.away == 1, "the answer that GitHub did not take was given by the next look"
    github.close_as(ws.number("web"), "rita", ws.slug("web"))
    rows = ws.look()
    assert (rows["web"]["state"], rows["web"]["step"]) == ("person", "rest")
    assert "rita closed" in rows["web"]["why"]
    assert github.pull(ws.number("web"), ws.slug("web"))["state"] == "closed"
    github.change(ws.number("web"), ws.slug("web"), state="open")
    github.review(ws.number("extra"), "APPROVED", "fine now", slug=ws.slug("extra"))
    ws.until(all_good)
    assert ws.show("app", "app.txt", "app") == "both"
    assert ws.show("app-ui", "app-ui.txt", "app").startswith("a person's")
    inside = ("merge-base", "--is-ancestor", pushed, ws.head("app-ui", "app"))
    assert git(ws.repos / "app.git", *inside) == ""

    # Downstream is red, and its output names what the upstream changed.
    ws.judges["T-1-app"] = is_bad_upstream
    ws.script("app", f'{RESOLVE}\ncp "$ORCHESTR_UPSTREAM_API_WORKTREE/api.txt" upstream-ok')
    github.runs[ws.head("app", "app")].clear()
    ws.until(all_good)
    assert ws.show("api", "api.txt", "proto") == "good"

    # A pull request is merged by hand, and the stack above it goes on.
    git(ws.repos / "proto.git", "update-ref", "refs/heads/main", ws.head("api", "proto"))
    rows = ws.until(all_good)
    assert rows["api"]["why"] == "merged"
    assert ws.pr("core")["base"] == "main"
    check_the_end(ws)


def check_the_end(ws: Night) -> None:
    """All is mergeable, each round was made once, each answer given once, and looks are cheap."""
    github = ws.github
    rounds = Counter(line.split()[0] for line in ws.starts())
    rounds.subtract(dict.fromkeys(CELLS, 1))
    assert {cell: rounds[cell] for cell in ("docs", "web", "extra", "api")} == {
        "docs": 1, "web": 0, "extra": 1, "api": 1,
    }  # fmt: skip
    assert 1 <= rounds["core"] <= 2  # its comment, and its upstream's new tree
    assert 1 <= rounds["app"] <= 2  # its conflict, and its upstream's new tree
    assert [len(ws.answers(cell)) for cell in ("core", "extra", "docs")] == [1, 1, 0]
    for pull in github.every():
        if pull["state"] == "open":
            assert github.statuses[pull["head_sha"]]["orchestr/feature"]["state"] == "success"
    opened = Counter(pull["head"] for pull in github.every())
    assert opened == {f"T-1-{cell}": 1 for cell in CELLS}
    before, asked = ws.starts(), dict(github.requests)
    ws.look()
    assert ws.starts() == before
    more = {kind: n - asked.get(kind, 0) for kind, n in github.requests.items()}
    assert {kind for kind, n in more.items() if n} == {"graphql"}, "nothing is written again"
    assert more["graphql"] <= 2, "a new process asks once more for what the first answer names"
    assert ws.points[-1] <= 2
    assert max(ws.points) <= 12, ws.points
