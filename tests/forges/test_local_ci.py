"""CI of the local forge: where it runs, how it ends, what a kill and a full disk leave."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from orchestr.errors import as_disk_full
from orchestr.forges.base import ForgeAway, ForgeError
from orchestr.forges.followed import CheckState, CiCheck, PullRequestKey, Verdict
from orchestr.forges.local import LocalForge
from orchestr.forges.local_ci import LocalCi
from orchestr.forges.local_ci_wall import locate_origin, make_local_ci
from orchestr.sandbox.choose import SandboxKind
from orchestr.settings.forge_records import ForgeSettings
from orchestr.settings.limit_records import SandboxSettings
from orchestr.settings.loader import load_settings
from orchestr.settings.records import WorkspaceSettings
from orchestr.testing.follow_world import Said, by_name
from orchestr.testing.killed_at import is_killed_at
from tests.sandbox.walls import why_no_wall

from .test_local_follow import LocalFollowWorld


@pytest.fixture
def world(tmp_path: Path) -> LocalFollowWorld:
    return LocalFollowWorld(tmp_path)


def head_checks(world: LocalFollowWorld, number: int) -> dict[str, CheckState]:
    """The checks of a head by name."""
    return {name: check.state for name, check in by_name(world.facts(number).checks).items()}


def test_the_origin_of_a_sibling_is_the_remote_that_is_set(tmp_path: Path) -> None:
    clone, bare = tmp_path / "repos" / "app", tmp_path / "app.git"
    for words in (["--bare", str(bare)], [str(clone)]):
        subprocess.run(["git", "init", "--quiet", *words], check=True)
    add = ["git", "-C", str(clone), "remote", "add", "company", str(bare)]
    subprocess.run(add, check=True)
    text = '[workspace]\nrepos = "repos"\n[repos.app]\nremote = "company"\n'
    (tmp_path / "orchestr.toml").write_text(text)
    assert locate_origin(load_settings(tmp_path, {}), "app") == str(bare)


# --- what it runs in -------------------------------------------------------------------------


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
    assert ours.pop("ORCHESTR_CI_BODY_FILE")
    assert ours.pop("ORCHESTR_CI_ORIGINS_FILE")
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


# --- how it ends -----------------------------------------------------------------------------


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


# --- the wall --------------------------------------------------------------------------------


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


def test_a_result_that_cannot_be_read_is_none(
    world: LocalFollowWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    world.use("true")
    world.facts(number)
    path = world.root / "platform/ci" / f"{sha}.json"
    for broken in ("{", '{"sha": 1}', '{"checks": [{"state": "odd"}]}'):
        path.write_text(broken)
        assert head_checks(world, number) == {"ci": CheckState.SUCCESS}
    assert capsys.readouterr().err.count("cannot be read") == 3


def killed_in_any_thread(line: int, act: Callable[[], object]) -> bool:
    """Fork, act, and SIGKILL the fork at the n-th line that any of its threads runs in the CI."""
    files = ("local_ci.py", "ci_results.py", "export.py")
    return is_killed_at(line, act, lambda name: name.endswith(files))


@pytest.mark.slow
def test_a_kill_at_any_line_leaves_no_half_result(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.use("echo '::check unit failure'; exit 1")
    folder, line = world.root / "platform/ci", 3
    while killed_in_any_thread(line, lambda: world.facts(number)):
        for path in folder.glob("*.json"):
            assert json.loads(path.read_text())["state"] == "failure"
            assert path.with_suffix(".log").read_text() == "::check unit failure\n"
        line += 11

    facts = world.facts(number)

    assert [check.state for check in facts.checks + facts.base_checks] == [CheckState.FAILURE] * 2
    world.use("echo '::check unit failure'; exit 2")
    world.facts(number)
    kept = [path.suffix for path in folder.iterdir() if path.suffix in (".json", ".log")]
    assert sorted(kept) == [".json", ".json", ".log", ".log"]
    assert list((folder / "work").iterdir()) == []
