"""Follow on the local forge, through the program: what happens at a pull request, and what comes
of it. CI is a script beside the agents, so that a test says what is red."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git
from tests.e2e.workspace import Workspace, both

CI = """\
if [ -f "{agents}/ci-$ORCHESTR_CI_BRANCH.sh" ]; then . "{agents}/ci-$ORCHESTR_CI_BRANCH.sh"; fi
"""
FAST = {"follow": {"bundle": "0.001s"}}
Make = Callable[..., Workspace]


@pytest.fixture
def followed(workspace: Make) -> Make:
    """A workspace whose local forge has CI; built and published."""

    def make(cells: Mapping[str, Mapping[str, Any]], **given: Any) -> Workspace:
        settings = {**FAST, **given.pop("settings", {})}
        ws = workspace(cells=cells, **given)
        (ws.agents / "ci.sh").write_text(CI.format(agents=ws.agents))
        ws.settings(**settings, forge={"kind": "local", "ci": f"sh {ws.agents}/ci.sh"})
        return ws

    return make


def ci(ws: Workspace, branch: str, script: str) -> None:
    """What CI does on a branch from now on (sh; the checkout is the current folder)."""
    (ws.agents / f"ci-{branch}.sh").write_text(script)


def follow(ws: Workspace, *more: str, code: int | None = 0) -> dict[str, dict[str, Any]]:
    """`follow --once`: the rows by cell."""
    done = ws.run("follow", "demo", "--once", "--json", *more, code=code)
    value = json.loads(done.stdout.splitlines()[-1])
    assert not value["skipped"], both(done)
    return {row["cell"]: row for row in value["features"].get("demo", [])}


def rounds(ws: Workspace, cell: str) -> list[str]:
    """The rounds of repair of a cell's first attempt, by their outcome."""
    folder = ws.cell_dir(cell) / "attempts" / "1" / "rounds"
    return [line.partition(" = ")[2].strip('"')
            for path in sorted(folder.glob("*.toml"))
            for line in path.read_text().splitlines() if line.startswith("outcome")]  # fmt: skip


def test_red_ci_runs_once_more_then_the_session_repairs_it(followed: Make) -> None:
    ws = followed({"a": {}})
    ws.script("a", 'if [ -n "$ORCHESTR_ROUND" ]; then echo good > a.txt; else echo bad > a.txt; fi')
    ws.run("run", "demo", code=0)
    ci(ws, "T-1-a", 'grep -q good a.txt || { echo "a.txt:1: error: it is bad"; exit 1; }')
    before = ws.head("a")
    found = follow(ws)["a"]
    assert (found["state"], found["step"]) == ("work", "rerun"), found
    assert ws.head("a") == before
    found = follow(ws)["a"]
    assert (found["state"], found["why"]) == ("good", "it can be merged")
    assert ws.show("a", "a.txt") == "good"
    assert rounds(ws, "a") == ["changed"]
    words = (ws.cell_dir("a") / "attempts/1/rounds/1.md").read_text()
    assert "a.txt:1: error: it is bad" in words
    assert ws.states() == {"a": "done"}
    follow(ws)
    assert ws.starts() == ["a 1", "a 1"]


def test_a_flaky_check_costs_no_agent(followed: Make) -> None:
    ws = followed({"a": {}})
    ws.run("run", "demo", code=0)
    ci(ws, "T-1-a", f"test -e {ws.agents}/seen || {{ : > {ws.agents}/seen; echo error; exit 1; }}")
    assert follow(ws)["a"]["step"] == "rerun"
    assert follow(ws)["a"]["state"] == "good"
    assert ws.starts() == ["a 1"]


def test_red_on_the_base_is_waited_for(followed: Make) -> None:
    ws = followed({"a": {}})
    ws.run("run", "demo", code=0)
    ci(ws, "T-1-a", "echo error; exit 1")
    ci(ws, "main", "echo error; exit 1")
    found = follow(ws)["a"]
    assert (found["state"], found["why"]) == ("wait", "ci is red on main, too")
    assert "CI is red at demo:a: ci (" in ws.run("status", "demo", "--fetch", code=0).stdout
    assert ws.starts() == ["a 1"]


def test_a_comment_is_answered_once_with_its_commit(followed: Make) -> None:
    ws = followed({"a": {}})
    ws.script("a", 'echo "round $ORCHESTR_ROUND" >> a.txt; echo "renamed it"')
    ws.run("run", "demo", code=0)
    url = ws.result("a", "pr-url")
    ws.run("comment", url, "please rename it", "--as", "rita", "--on", "a.txt:1", code=0)
    found = follow(ws)["a"]
    assert found["state"] == "good", found
    said = ws.run("comment", url, code=0).stdout
    assert f"Answered by {ws.head('a')}" in said
    assert "renamed it" in said
    follow(ws)
    assert ws.run("comment", url, code=0).stdout == said
    assert ws.starts() == ["a 1", "a 1"]
    words = (ws.cell_dir("a") / "attempts/1/rounds/1.md").read_text()
    assert "> rita: please rename it" in words
    assert "a.txt:1" in words


def test_no_change_is_answered_with_the_reason(followed: Make) -> None:
    ws = followed({"a": {}})
    ws.script("a", 'test -n "$ORCHESTR_ROUND" || echo new > a.txt; echo "it is right as it is"')
    ws.run("run", "demo", code=0)
    url, before = ws.result("a", "pr-url"), ws.head("a")
    ws.run("comment", url, "this is wrong", "--as", "rita", "--request-changes", code=0)
    found = follow(ws)["a"]
    assert (found["state"], ws.head("a")) == ("wait", before)
    assert "the reviewer looks again" in found["why"]
    said = ws.run("comment", url, code=0).stdout
    assert "Nothing was changed for this." in said
    assert "it is right as it is" in said
    ws.run("comment", url, "fine", "--as", "rita", "--approve", code=0)
    assert follow(ws)["a"]["state"] == "good"


def test_a_bot_that_answers_each_answer_makes_no_loop(followed: Make) -> None:
    ws = followed(
        {"a": {"repair": {"follow": 2}}},
        settings={"follow": {"bundle": "0.001s", "bots": ["bert"]}},
    )
    ws.script("a", 'echo "$ORCHESTR_ROUND" >> a.txt')
    ws.run("run", "demo", code=0)
    url = ws.result("a", "pr-url")
    for n in range(2):
        ws.run("comment", url, f"still wrong {n}", "--as", "bert", "--bot", code=0)
        found = follow(ws)["a"]
        assert found["state"] == "good", found
    ws.run("comment", url, "still wrong", "--as", "bert", "--bot", code=0)
    found = follow(ws, code=1)["a"]
    assert found["state"] == "person"
    assert "2 of 2 rounds made" in found["why"]
    assert ws.status()["a"]["state"] == "needs_person"
    ws.run("comment", url, "quiet", "--as", "stranger", "--bot", code=0)
    follow(ws, code=1)
    assert len(ws.starts()) == 3


def test_a_conflict_with_the_base_is_merged_never_rebased(followed: Make) -> None:
    ws = followed({"a": {}})
    ws.script(
        "a",
        'if grep -q "<<<<" a.txt 2>/dev/null; then echo both > a.txt; else echo mine > a.txt; fi',
    )
    ws.run("run", "demo", code=0)
    before = ws.head("a")
    commit_on_main(ws, "app", {"a.txt": "theirs\n"})
    found = follow(ws)["a"]
    assert found["state"] == "good", found
    assert ws.show("a", "a.txt") == "both"
    assert git(ws.repos / "app.git", "merge-base", "--is-ancestor", before, ws.head("a")) == ""
    assert ws.starts() == ["a 1", "a 2"]


def test_people_go_first(followed: Make) -> None:
    """A push, a close, a label: no agent, and nothing of theirs is undone."""
    ws = followed({"a": {}, "b": {}, "c": {}})
    ws.run("run", "demo", code=0)
    pushed = push_to_branch(ws, "app", "T-1-a", {"a.txt": "a person's\n"})
    ws.run("comment", ws.result("b", "pr-url"), "--close", "--as", "rita", code=0)
    ws.run("comment", ws.result("c", "pr-url"), "--label", "orchestr: hands off", code=0)
    ci(ws, "T-1-c", "exit 1")
    found = follow(ws, code=1)
    assert found["a"]["state"] == "good", found
    assert ws.head("a") == pushed
    assert found["b"]["state"] == "person"
    assert "rita closed" in found["b"]["why"]
    assert found["c"]["state"] == "left alone"
    assert len(ws.starts()) == 3
    assert ws.pr("b")["state"] == "closed"
    ws.run("comment", ws.result("b", "pr-url"), "--reopen", code=0)
    assert follow(ws)["b"]["state"] == "good"
    assert ws.states()["b"] == "done"


def test_the_cell_that_the_output_names_repairs_and_dependents_follow(followed: Make) -> None:
    ws = followed({"api": {"repo": "proto"}, "user": {"depends_on": ["api"]}},
                  repos=("proto", "app"))  # fmt: skip
    ws.script(
        "api", 'if [ -n "$ORCHESTR_ROUND" ]; then echo good > api.txt; else echo bad > api.txt; fi'
    )
    ws.script("user", 'cat "$ORCHESTR_UPSTREAM_API_WORKTREE/api.txt" >> user.txt')
    ws.run("run", "demo", code=0)
    ci(
        ws,
        "T-1-user",
        'grep -q good user.txt || { echo "../proto/api.txt:1: error: bad"; exit 1; }',
    )
    assert follow(ws)["user"]["step"] == "rerun"
    found = follow(ws)
    assert found["user"]["state"] == "good", found
    assert ws.show("api", "api.txt", "proto") == "good"
    assert rounds(ws, "api") == ["changed"]
    assert rounds(ws, "user") == []


def test_a_missing_sibling_costs_no_agent(followed: Make) -> None:
    ws = followed({"api": {"repo": "proto"}, "user": {"depends_on": ["api"]}},
                  repos=("proto", "app"))  # fmt: skip
    ws.script("api", "echo class NewApi > api.txt")
    ws.run("run", "demo", code=0)
    ci(ws, "T-1-user", "echo \"error: cannot find 'NewApi'\"; exit 1")
    found = follow(ws)["user"]
    assert found["state"] == "wait"
    assert "misses `NewApi`" in found["why"]
    assert len(ws.starts()) == 2


def test_every_head_has_the_status_of_the_feature(followed: Make) -> None:
    ws = followed({"a": {}, "b": {"repo": "lib"}}, repos=("app", "lib"))
    ws.run("run", "demo", code=0)
    ci(ws, "T-1-a", "exit 1")
    follow(ws)
    assert statuses(ws, "lib") == ["failure"]
    ci(ws, "T-1-a", "exit 0")
    follow(ws)
    follow(ws)
    assert statuses(ws, "app") == statuses(ws, "lib") == ["success"]


def test_two_followers_of_a_feature(followed: Make) -> None:
    ws = followed({"a": {}})
    ws.run("run", "demo", code=0)
    one = ws.spawn("follow", "demo", "--for", "60s")
    from tests.e2e.workspace import wait_for

    wait_for(lambda: "looked at" in one.said(), "its first look")
    busy = ws.run("follow", "demo", "--once", code=4)
    assert "demo is busy" in both(busy)
    one.terminate()
    assert one.ended() == 130


def statuses(ws: Workspace, repo: str) -> list[str]:
    """The states that `orchestr/feature` has on the commits of a repository's pull requests."""
    heads = [pr["head_sha"] for pr in ws.prs(repo).values() if pr["state"] == "open"]
    folder = ws.root / ".orchestr" / "forge" / repo / "statuses"
    found = [json.loads((folder / f"{sha}.json").read_text()) for sha in heads]
    return [state for one in found for state in find_states(one)]


def find_states(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["state"]] if isinstance(value.get("state"), str) else []
        return own + [state for one in value.values() for state in find_states(one)]
    return [state for one in value for state in find_states(one)] if isinstance(value, list) else []


def commit_on_main(ws: Workspace, repo: str, files: Mapping[str, str]) -> str:
    """A commit of a person on main at the origin."""
    return push_to_branch(ws, repo, "main", files)


def push_to_branch(ws: Workspace, repo: str, branch: str, files: Mapping[str, str]) -> str:
    """A commit of a person, from a clone of their own."""
    place = ws.root / f"person-{repo}-{branch}"
    git(ws.root, "clone", "-q", "-b", branch, str(ws.repos / f"{repo}.git"), str(place))
    for name, text in files.items():
        Path(place, name).write_text(text)
    git(place, "add", "-A")
    git(
        place,
        "-c",
        "user.name=Rita",
        "-c",
        "user.email=r@example.org",
        "commit",
        "-q",
        "-m",
        "hers",
    )
    git(place, "push", "-q", "origin", branch)
    return git(place, "rev-parse", "HEAD")
