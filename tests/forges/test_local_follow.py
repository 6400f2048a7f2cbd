"""The local forge is followed: the contract, its CI, and what only files go through."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import threading
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestr.errors import CorruptState, as_disk_full
from orchestr.forges.base import ForgeAway, ForgeError, PRExists, PRState
from orchestr.forges.comment_files import CommentRow
from orchestr.forges.followed import (
    CheckState,
    CiCheck,
    Dressing,
    PullRequestKey,
    StatusState,
    Verdict,
)
from orchestr.forges.local import LocalForge
from orchestr.forges.local_ci import LocalCi
from orchestr.forges.local_ci_wall import make_local_ci
from orchestr.sandbox.choose import SandboxKind
from orchestr.settings.loader import load_settings
from orchestr.settings.records import ForgeSettings, SandboxSettings, WorkspaceSettings
from tests.sandbox.walls import why_no_wall

from .contract import git
from .contract_follow import FollowContract, FollowWorld, Said, by_name
from .test_local import LocalWorld, killed_at


class LocalFollowWorld(LocalWorld, FollowWorld):
    """A local forge whose CI says what lies in a file of the commit's name."""

    forge: LocalForge

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.answers = folder / "answers"
        self.answers.mkdir()
        self.ci = LocalCi(f'cat "{self.answers}/$ORCHESTR_CI_SHA" 2>/dev/null || true')

    def use(self, command: str, **more: Any) -> None:
        """Another CI."""
        self.ci = LocalCi(command, **more)
        self.forge.__dict__.pop("ci", None)
        self.forge.make_ci = lambda: self.ci

    def say(
        self,
        number: int,
        body: str,
        *,
        author: str = "rita",
        path: str = "",
        line: int = 0,
        thread: str = "",
        is_bot: bool = False,
    ) -> None:
        row = CommentRow(
            author=author, body=body, path=path, line=line, thread=thread, is_bot=is_bot
        )
        self.forge.add_comment(self.repo, number, row)

    def review(self, number: int, verdict: Verdict, body: str, *, author: str = "rita") -> None:
        row = CommentRow(author=author, body=body, verdict=verdict)
        self.forge.add_comment(self.repo, number, row)

    def resolve(self, number: int, thread: str) -> None:
        self.forge.resolve_thread(self.repo, number, thread)

    def label(self, number: int, name: str, *, remove: bool = False) -> None:
        if remove:
            self.forge.remove_label(self.repo, number, name)
        else:
            self.forge.dress_pull_request(self.repo, number, Dressing(labels=(name,)))

    def close_as(self, number: int, author: str) -> None:
        self.forge.close_pull_request(self.repo, number, author=author)

    def reopen(self, number: int) -> None:
        self.forge.reopen_pull_request(self.repo, number)

    def run_ci(self, sha: str, *said: Said) -> None:
        lines: list[str] = []
        for one in said:
            lines += one.log
            if one.place:
                lines.append("::error file={},line={}::{}".format(*one.place))
            lines.append(f"::check {one.name} {one.state}")
        (self.answers / sha).write_text("\n".join(lines) + "\n")
        self.forge.make_ci = lambda: self.ci

    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        found = self.forge.read_commit_statuses(self.repo, sha)
        return {context: (row["state"], row["text"]) for context, row in found.items()}

    def result(self, sha: str) -> dict[str, Any]:
        """The file of a commit's result."""
        path = self.root / "platform" / "ci" / f"{sha}.json"
        found: dict[str, Any] = json.loads(path.read_text())
        return found


@pytest.fixture
def world(tmp_path: Path) -> LocalFollowWorld:
    return LocalFollowWorld(tmp_path)


class TestLocalForgeFollowed(FollowContract):
    """The whole contract."""


def head_checks(world: LocalFollowWorld, number: int) -> dict[str, CheckState]:
    """The checks of a head by name."""
    return {name: check.state for name, check in by_name(world.facts(number).checks).items()}


# --- CI: what it runs in -------------------------------------------------------------------------


def test_ci_runs_in_a_checkout_of_its_commit_with_a_clean_environment(
    world: LocalFollowWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "tok-1234567")
    sha = world.branch("one", "a")
    number = world.pull("one", body="Depends-On: local://other/pull/3\n")
    out = tmp_path / "out"
    out.mkdir()
    world.use(
        f"d={out}/${{ORCHESTR_CI_PR:-base}}; mkdir $d; env > $d/env; cat > $d/stdin; ls > $d/ls; "
        "git status --porcelain > $d/status; git rev-parse HEAD > $d/head; pwd > $d/pwd; "
        'git diff --name-only "origin/$ORCHESTR_CI_BASE" > $d/diff; '
        'cp "$ORCHESTR_CI_BODY_FILE" $d/body; git fetch -q origin one'
    )

    assert head_checks(world, number) == {"ci": CheckState.SUCCESS}

    seen = {path.name: path.read_text() for path in (out / str(number)).iterdir()}
    env = dict(line.split("=", 1) for line in seen["env"].splitlines() if "=" in line)
    ours = {name: value for name, value in env.items() if name.startswith("ORCHESTR_CI_")}
    assert ours.pop("ORCHESTR_CI_BODY_FILE") and ours.pop("ORCHESTR_CI_ORIGINS_FILE")
    assert ours == {
        "ORCHESTR_CI_REPO": "platform",
        "ORCHESTR_CI_BRANCH": "one",
        "ORCHESTR_CI_BASE": "main",
        "ORCHESTR_CI_PR": str(number),
        "ORCHESTR_CI_SHA": sha,
        "ORCHESTR_CI_ORIGIN": str(world.origin),
    }
    assert (env["CI"], "SOME_TOKEN" in env) == ("true", False)
    assert (seen["ls"], seen["status"], seen["stdin"]) == ("README\na\n", "", "")
    assert (seen["head"], seen["diff"]) == (f"{sha}\n", "a\n")
    assert seen["body"] == "Depends-On: local://other/pull/3\n"
    base = {path.name: path.read_text() for path in (out / "base").iterdir()}
    assert (base["ls"], base["body"]) == ("README\n", "")
    assert not Path(seen["pwd"].strip()).exists(), "the checkout is removed"
    assert list((world.root / "platform/ci/work").iterdir()) == []
    assert list((world.root / "platform/ci").glob("*.lock")) == []


def test_ci_runs_once_on_a_commit(world: LocalFollowWorld, tmp_path: Path) -> None:
    world.branch("one", "a")
    world.branch("two", "b")
    keys = [PullRequestKey(world.repo, world.pull(name)) for name in ("one", "two")]
    runs = tmp_path / "runs"
    world.use(f'echo "$ORCHESTR_CI_BRANCH" >> {runs}')
    for _ in range(2):
        world.forge.read_facts(keys)
    assert sorted(runs.read_text().split()) == ["main", "one", "two"]

    world.use(f'echo "again $ORCHESTR_CI_BRANCH" >> {runs}')
    world.forge.read_facts(keys[:1])
    assert sorted(runs.read_text().split())[:2] == ["again", "again"], "another CI, another verdict"


def test_of_two_callers_one_runs_it(world: LocalFollowWorld, tmp_path: Path) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    runs = tmp_path / "runs"
    ci = LocalCi(f'echo "$ORCHESTR_CI_BRANCH" >> {runs}; sleep 0.3')
    forges = [LocalForge(world.root) for _ in range(2)]
    found: list[Sequence[CiCheck]] = []

    def look(forge: LocalForge) -> None:
        forge.make_ci = lambda: ci
        key = PullRequestKey(world.repo, number)
        found.append(forge.read_facts([key])[key].checks)

    threads = [threading.Thread(target=look, args=(forge,)) for forge in forges]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(runs.read_text().split()) == ["main", "one"]
    assert [[check.state for check in checks] for checks in found] == [[CheckState.SUCCESS]] * 2


def test_nothing_waits_for_ci_but_who_asks_for_it(world: LocalFollowWorld, tmp_path: Path) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    started, gate = tmp_path / "started", tmp_path / "gate"
    world.use(f"touch {started}; while [ ! -e {gate} ]; do sleep 0.02; done")
    thread = threading.Thread(target=world.facts, args=(number,))
    thread.start()
    wait_for(started.exists)

    assert LocalForge(world.root).find_pull_requests(world.repo, ["one"])["one"][0].number == number

    gate.touch()
    thread.join()
    assert head_checks(world, number) == {"ci": CheckState.SUCCESS}


def test_a_closed_one_needs_no_ci(world: LocalFollowWorld, tmp_path: Path) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.use(f"touch {tmp_path / 'ran'}")
    world.close_as(number, "rita")
    assert world.facts(number).checks == ()
    assert not (tmp_path / "ran").exists()


# --- CI: how it ends -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "checks", "summary"),
    [
        ("exit 3", {"ci": "failure"}, "exit 3"),
        ("echo '::check a success'; exit 1", {"a": "success", "ci": "failure"}, "exit 1"),
        ("echo '::check a failure'; exit 1", {"a": "failure"}, ""),
        ("echo '::check a failure'", {"a": "failure"}, ""),
        (
            "no-such-program",
            {"ci": "cancelled"},
            "exit 127: a program is missing, or may not be run",
        ),
        ("./README", {"ci": "cancelled"}, "exit 126: a program is missing, or may not be run"),
        ("echo '::check a failure'; nope", {"a": "failure"}, ""),
        ("kill -9 $$", {"ci": "failure"}, "killed by SIGKILL"),
    ],
)
def test_how_it_ends_is_what_it_says(
    world: LocalFollowWorld, command: str, checks: dict[str, str], summary: str
) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.use(command)
    found = by_name(world.facts(number).checks)
    assert {name: str(check.state) for name, check in found.items()} == checks
    assert (found["ci"].summary if "ci" in found else "") == summary


def test_a_time_limit_is_red_and_ends_everything(world: LocalFollowWorld, tmp_path: Path) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    pid = tmp_path / "pid"
    world.use(f"setsid sleep 60 & echo $! > {pid}; sleep 60", timeout=0.4)
    (check,) = world.facts(number).checks
    assert (check.state, check.summary) == (CheckState.FAILURE, "timed out after 0.4 s")
    assert not is_running(int(pid.read_text()))


def test_what_it_leaves_running_is_ended(world: LocalFollowWorld, tmp_path: Path) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    pid = tmp_path / "pid"
    world.use(f"setsid sleep 60 & echo $! > {pid}")
    assert head_checks(world, number) == {"ci": CheckState.SUCCESS}
    assert not is_running(int(pid.read_text()))


def test_a_stopped_run_has_no_result(world: LocalFollowWorld, tmp_path: Path) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    started, stop = tmp_path / "started", threading.Event()
    world.use(f"touch {started}; sleep 60", stop=stop)
    found: list[dict[str, CheckState]] = []
    thread = threading.Thread(target=lambda: found.append(head_checks(world, number)))
    thread.start()
    wait_for(started.exists)
    stop.set()
    thread.join()
    assert found == [{"ci": CheckState.PENDING}]
    world.use("true")
    assert head_checks(world, number) == {"ci": CheckState.SUCCESS}


def test_what_a_kill_left_is_ended_and_deleted(world: LocalFollowWorld) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    work = world.root / "platform/ci/work" / sha
    (work / "tree").mkdir(parents=True)
    left = subprocess.Popen(
        ["sleep", "60"], cwd=work, env={**os.environ, "ORCHESTR_ATTEMPT_ID": str(work)}
    )
    other = world.root / "platform/ci/work" / ("0" * 40)
    other.mkdir()

    world.use("true")
    assert head_checks(world, number) == {"ci": CheckState.SUCCESS}

    assert left.wait(5) != 0
    assert not work.exists()
    assert not other.exists()


def test_what_the_machine_lacked_is_tried_again_a_few_times(
    world: LocalFollowWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    tried: list[str] = []

    def fail(_source: object, commit: str, *_: object, **__: object) -> None:
        tried.append(commit)
        raise OSError(errno.EMFILE, "Too many open files")

    world.use("true")
    monkeypatch.setattr("orchestr.forges.local_ci.export_commit", fail)
    for _ in range(5):
        (check,) = world.facts(number).checks
        assert (check.state, "Too many" in check.summary) == (CheckState.CANCELLED, True)
    assert tried.count(sha) == 3
    monkeypatch.undo()
    world.forge.rerun_check(world.repo, check)
    assert CheckState.CANCELLED not in head_checks(world, number).values()


def test_a_result_that_cannot_be_kept_is_an_instruction(
    world: LocalFollowWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.branch("one", "a")
    number = world.pull("one")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "x.json")

    world.use("true")
    monkeypatch.setattr("orchestr.forges.local_ci.write_result", fail)
    with pytest.raises(ForgeAway, match="No space left on device") as away:
        world.facts(number)
    assert as_disk_full(away.value)
    assert "make room" in (away.value.hint or "")


def test_another_run_is_asked_for_once(world: LocalFollowWorld, tmp_path: Path) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    world.use(f'echo "$ORCHESTR_CI_BRANCH" >> {tmp_path / "runs"}; exit 1')
    (red,) = world.facts(number).checks
    for _ in range(2):
        world.forge.rerun_check(world.repo, red)
    assert world.forge.find_pull_requests(world.repo, ["one"])["one"][0].checks == "pending"
    world.facts(number)
    world.forge.rerun_check(world.repo, red)  # as after a kill: that run took place
    (again,) = world.facts(number).checks

    assert world.result(sha)["run"] == 2
    assert (tmp_path / "runs").read_text().split().count("one") == 2
    assert again.id != red.id
    with pytest.raises(ForgeError, match="not one of the local CI"):
        world.forge.rerun_check(world.repo, CiCheck("x", CheckState.FAILURE, id="../../1:1:x"))


def test_checks_and_reviews_are_shown_with_the_pull_request(world: LocalFollowWorld) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    world.run_ci(sha, Said("unit", CheckState.FAILURE))
    world.review(number, Verdict.CHANGES_REQUESTED, "no")
    world.facts(number)
    (pr,) = world.forge.find_pull_requests(world.repo, ["one"])["one"]
    assert (pr.checks, pr.review) == ("failure", "changes_requested")
    world.review(number, Verdict.APPROVED, "")
    assert world.facts(number).pr.review == "approved"
    world.review(number, Verdict.CHANGES_REQUESTED, "no", author="ruth")
    assert world.facts(number).pr.review == "changes_requested"


# --- CI: the wall --------------------------------------------------------------------------------


@pytest.mark.skipif(bool(why_no_wall(SandboxKind.BWRAP)), reason="bubblewrap does not work here")
def test_ci_runs_behind_the_wall(
    world: LocalFollowWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTR_SET_SANDBOX_MODE", "bwrap")
    outside = Path("/var/tmp") / f"orchestr-ci-{os.getpid()}"
    (tmp_path / "ws").mkdir()
    command = (
        f"touch {outside} {world.clone}/mine; ls {tmp_path}/ws/.orchestr/secret; "
        "git log -1 --format=%H; echo x > made; cat $ORCHESTR_CI_BODY_FILE"
    )
    (tmp_path / "ws/orchestr.toml").write_text(f"[forge]\nci = {json.dumps(command)}\n")
    settings = load_settings(tmp_path / "ws", os.environ)
    (settings.workspace.state / "secret").mkdir(parents=True)
    world.forge.root = settings.workspace.state / "forge"
    world.forge.make_ci = lambda: make_local_ci(settings, None, None)
    sha = world.branch("one", "a")
    number = world.pull("one", body="the body")

    (check,) = world.facts(number).checks

    log = world.forge.read_check_log(world.repo, check)
    assert check.state is CheckState.SUCCESS, log
    assert f"{sha}\nthe body" in log
    assert log.count("Read-only") + log.count("No such file") + log.count("denied") >= 2, log
    assert not outside.exists()
    assert not (world.clone / "mine").exists()


def test_a_sandbox_that_is_required_and_missing_stops_it(world: LocalFollowWorld) -> None:
    class Some:
        forge = ForgeSettings(ci="true")
        sandbox = SandboxSettings(mode="none", require=True)
        workspace = WorkspaceSettings(*[world.root] * 5)

    world.branch("one", "a")
    number = world.pull("one")
    world.forge.make_ci = lambda: make_local_ci(Some(), None, None)  # type: ignore[arg-type]
    with pytest.raises(ForgeError, match="require one") as refused:
        world.facts(number)
    assert "[sandbox] mode" in (refused.value.hint or "")


# --- comments, states, labels: files -------------------------------------------------------------


def test_texts_of_earlier_versions_are_ours(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    path = world.file(number).with_suffix(".comments.json")
    path.write_text(json.dumps({"schema": 1, "comments": ["an old word"]}))
    world.forge.comment_once(world.repo, number, "an old word")
    world.forge.comment_once(world.repo, number, "a new word")
    assert [
        (c.body, c.is_ours, c.author) for t in world.facts(number).threads for c in t.comments
    ] == [
        ("an old word", True, "orchestr"),
        ("a new word", True, "orchestr"),
    ]


def test_fields_of_a_newer_version_stay(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.say(number, "why?", path="a")
    path = world.file(number).with_suffix(".comments.json")
    table = json.loads(path.read_text())
    table["comments"][0]["mood"] = "curious"
    path.write_text(json.dumps(table))
    with world.file(number).open("a") as file:
        file.write('colour = "red"\n')

    world.resolve(number, "c1")
    world.label(number, "x")

    assert json.loads(path.read_text())["comments"][0]["mood"] == "curious"
    assert tomllib.loads(world.file(number).read_text())["colour"] == "red"


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"comments": 3}', '{"comments": [{"body": 1}]}', '{"comments": [null]}']
)
def test_broken_comments_are_set_aside(world: LocalFollowWorld, text: str) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    path = world.file(number).with_suffix(".comments.json")
    path.write_text(text)
    with pytest.raises(CorruptState):
        world.facts(number)
    assert world.facts(number).threads == ()
    assert len(list(path.parent.glob("*.corrupt-*"))) == 1


def test_hostile_texts_are_bounded_and_clean(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.say(number, "a\x00b\x1b[31m\udc80\tc\r\nd")
    path = world.file(number).with_suffix(".comments.json")
    table = json.loads(path.read_text())
    table["comments"].append({"author": "x", "body": "y" * (10 << 20), "thread": "c99"})
    table["comments"].append({"author": "x", "body": "y" * (10 << 20)})
    path.write_text(json.dumps(table))
    threads = world.facts(number).threads
    assert threads[0].comments[0].body == "ab\tc\r\nd"
    assert [len(thread.comments[0].body) for thread in threads[1:]] == [65_536]
    with pytest.raises(ForgeError, match="at most 65,536"):
        world.say(number, "y" * 65_537)
    world.label(number, "\x1b[1m\udc80big\x00 ")
    assert world.facts(number).labels == ("big",)


def test_a_reply_finds_its_thread_or_is_told_which_there_are(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.say(number, "why?", path="a", line=2)
    world.say(number, "general")
    world.say(number, "so", thread="c1")
    world.say(number, "so", thread="c3")
    assert len(world.thread(number, "a").comments) == 3
    with pytest.raises(ForgeError, match="no thread 'c2'") as refused:
        world.say(number, "x", thread="c2")
    assert refused.value.hint == "its threads: c1"


def test_one_is_opened_again_only_where_that_makes_sense(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    first = world.pull("one")
    world.close_as(first, "rita")
    second = world.pull("one")
    with pytest.raises(PRExists, match=f"pull/{second}"):
        world.reopen(first)
    world.close_as(second, "rita")
    git(world.clone, "push", "-q", "origin", ":one")
    with pytest.raises(ForgeError, match="no branch one"):
        world.reopen(first)
    git(world.clone, "push", "-q", "origin", "one")
    for _ in range(2):
        world.reopen(first)
    assert world.states("one") == [(second, PRState.CLOSED), (first, PRState.OPEN)]
    world.merge(first)
    with pytest.raises(ForgeError, match="is merged"):
        world.reopen(first)
    with pytest.raises(ForgeError, match="be marked as ready"):
        world.forge.mark_ready(world.repo, second)


def test_a_milestone_that_is_there_stays(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    assert not world.forge.dress_pull_request(world.repo, number, Dressing(milestone="v1"))
    (word,) = world.forge.dress_pull_request(world.repo, number, Dressing(milestone="v2"))
    assert "has v1 already" in word


def test_a_status_is_short_and_only_of_a_commit(world: LocalFollowWorld) -> None:
    sha = world.branch("one", "a")
    for _ in range(2):
        world.forge.set_commit_status(world.repo, sha, "x/y", StatusState.PENDING, "w" * 500)
    assert world.statuses(sha)["x/y"] == ("pending", "w" * 140)
    with pytest.raises(ForgeError, match="not the id of a commit"):
        world.forge.set_commit_status(world.repo, "../x", "x/y", StatusState.PENDING, "")


@pytest.mark.slow
def test_a_kill_at_any_line_of_answering_leaves_one_answer(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.say(number, "why?", path="a")
    thread = world.thread(number, "a")

    def answer() -> None:
        world.forge.answer_once(world.repo, number, thread, "because", "k")

    line = 0
    while killed_at(line, answer):
        line += 7
    answer()
    assert len(world.thread(number, "a").comments) == 2


def wait_for(look: Callable[[], bool], timeout: float = 10.0) -> None:
    """Poll until it is so."""
    end = time.monotonic() + timeout
    while not look():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether a process runs, and is no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
