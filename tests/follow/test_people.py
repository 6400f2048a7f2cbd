"""People act while a round runs, and runs fail: theirs wins, nothing is paid twice or waited for
without end."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import git
from tests.e2e.workspace import Spawned, Workspace, wait_for
from tests.follow.test_rounds import Make, ci, follow, followed, push_to_branch

__all__ = ["followed"]
pytestmark = pytest.mark.slow
GATED = """\
echo "round $ORCHESTR_ROUND" >> a.txt
if [ -n "$ORCHESTR_ROUND" ]; then
    : > "$AGENT_DIR/in"
    while [ ! -e "$AGENT_DIR/go" ]; do sleep 0.05; done
fi
"""


def begin_round(ws: Workspace) -> Spawned:
    """A comment, and a `follow` whose agent works on it until `end_round`."""
    ws.script("a", GATED)
    ws.run("run", "demo", code=0)
    say(ws, "rename it", "--on", "a.txt:1")
    child = ws.spawn("follow", "demo", "--once")
    wait_for((ws.agents / "in").exists, "the round")
    return child


def end_round(ws: Workspace, child: Spawned) -> int:
    (ws.agents / "go").touch()
    return child.ended()


def say(ws: Workspace, *words: str) -> None:
    ws.run("comment", ws.result("a", "pr-url"), *words, "--as", "rita", code=0)


def test_a_pull_request_that_is_closed_in_a_round_stays_closed(followed: Make) -> None:
    ws = followed({"a": {}})
    child = begin_round(ws)
    head = ws.head("a")
    say(ws, "--close")
    assert end_round(ws, child) == 1, child.said()
    assert [pr["state"] for pr in ws.prs().values()] == ["closed"]
    assert ws.head("a") == head, "and nothing is pushed to it"
    assert follow(ws, code=1)["a"]["state"] == "person"
    say(ws, "--reopen")
    ws.run("run", "demo:a", code=0)
    assert ws.head("a") != head
    assert len(ws.prs()) == 1
    for _ in range(2):
        found = follow(ws)
    assert found["a"]["state"] == "good"


def test_a_pull_request_that_is_merged_in_a_round_gets_no_successor(followed: Make) -> None:
    ws = followed({"a": {}})
    child = begin_round(ws)
    git(ws.repos / "app.git", "update-ref", "refs/heads/main", ws.head("a"))
    end_round(ws, child)
    assert [pr["state"] for pr in ws.prs().values()] == ["merged"], child.said()
    assert follow(ws)["a"]["why"] == "merged"
    assert len(ws.starts()) == 2


def test_words_and_a_push_in_a_round_are_not_lost(followed: Make) -> None:
    ws = followed({"a": {}})
    child = begin_round(ws)
    say(ws, "and the test", "--reply", "c1")
    pushed = push_to_branch(ws, "app", "T-1-a", {"hers.txt": "hers\n"})
    end_round(ws, child)
    for _ in range(3):
        found = follow(ws, code=None)
    assert found["a"]["state"] == "good", found
    inside = ("merge-base", "--is-ancestor", pushed, ws.head("a"))
    assert git(ws.repos / "app.git", *inside) == ""
    said = ws.run("comment", ws.result("a", "pr-url"), code=0).stdout
    assert said.count("Answered by") in (1, 2), said
    texts = "".join(p.read_text() for p in rounds_of(ws))
    assert "> rita: and the test" in texts


def rounds_of(ws: Workspace) -> list[Path]:
    return sorted((ws.cell_dir("a") / "attempts").glob("*/rounds/*.md"))


def test_a_failed_round_is_a_persons_until_that_person_acts(followed: Make) -> None:
    ws = followed({"a": {}})
    ws.script("a", 'test -z "$ORCHESTR_ROUND" || exit 3; echo new >> a.txt')
    ws.run("run", "demo", code=0)
    say(ws, "rename it", "--on", "a.txt:1")
    for _ in range(3):
        found = follow(ws, code=1)["a"]
        assert found["state"] == "person"
        assert "its last run failed" in found["why"]
    assert ws.starts() == ["a 1", "a 1"], "nothing is paid for meanwhile"
    ws.script("a", "echo good >> a.txt")
    ws.run("run", "demo", code=0)
    for _ in range(2):
        found = follow(ws)["a"]
    assert found["state"] == "good"
    said = ws.run("comment", ws.result("a", "pr-url"), code=0).stdout
    assert said.count("Answered by") == 1, said


def test_a_branch_that_is_set_back_is_not_waited_for_without_end(followed: Make) -> None:
    ws = followed({"a": {}})
    ws.run("run", "demo", code=0)
    first = ws.head("a")
    say(ws, "rename it", "--on", "a.txt:1")
    follow(ws)
    git(ws.repos / "app.git", "update-ref", "refs/heads/T-1-a", first)
    for _ in range(2):
        assert follow(ws)["a"]["state"] == "work"
    found = follow(ws, code=1)["a"]
    assert found["state"] == "person"
    assert "an earlier head of ours" in found["why"]
    assert len(ws.starts()) == 2


def test_a_round_of_a_cell_whose_work_began_anew_is_over(followed: Make) -> None:
    ws = followed({"a": {}})
    child = begin_round(ws)
    for process in (*psutil.Process(child.pid).children(recursive=True), *ws.processes()):
        with suppress(psutil.Error):
            process.kill()
    child.kill()
    child.wait()
    ws.script("a", None)
    ws.edit_spec("do a", "do a in another way")
    for _ in range(3):
        found = follow(ws, code=None)["a"]
    assert found["state"] == "good", found
    said = ws.run("comment", ws.result("a", "pr-url"), code=0).stdout
    assert said.count("Answered by") + said.count("Nothing was changed") == 1, said


def test_dependents_follow_after_a_kill_between(followed: Make) -> None:
    """The owner was repaired and published; its dependent was never begun."""
    ws = followed({"a": {"repo": "proto"}, "user": {"depends_on": ["a"]}}, repos=("proto", "app"))
    ws.script("user", 'cat "$ORCHESTR_UPSTREAM_A_WORKTREE/a.txt" > user.txt')
    ws.run("run", "demo", code=0)
    say(ws, "rename it", "--on", "a.txt:1")
    ws.say("a", "good\n")
    before = ws.head("user")
    ws.edit_spec("do a", "do a better")
    ws.run("run", "demo:a", "--only", "a", code=0)
    assert ws.head("user") == before
    for _ in range(2):
        found = follow(ws)
    assert found["user"]["state"] == "good"
    assert ws.show("user", "user.txt") == "good"


def test_a_loop_outlives_broken_settings_and_ends_at_once(followed: Make) -> None:
    quick = {"follow": {"bundle": "0.1s", "shortest": "0.2s", "longest": "0.4s"}}
    ws = followed({"a": {}}, settings=quick)
    ws.run("run", "demo", code=0)
    child = ws.spawn("follow", "demo")
    wait_for(lambda: "looked at" in child.said(), "its first look")
    path = ws.root / "orchestr.toml"
    text = path.read_text()
    path.write_text(f"{text}\n[nonsense\n")
    wait_for(lambda: "not TOML" in child.said(), "what is wrong")
    path.write_text(text)
    ci(ws, "T-1-a", "sleep 100")
    ws.run("comment", ws.result("a", "pr-url"), "rename it", "--as", "rita", code=0)
    wait_for(lambda: "repair 1 of 3" in child.said(), "a look after that")
    child.terminate()
    assert child.ended() == 130, child.said()
