"""Kind `command`, and the frame that all kinds share."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from orchestr.checks import room
from orchestr.checks.room import log_tail
from orchestr.process.tree import MARKER, find_marked
from tests.checks.conftest import Ask, py, sh


def test_exit_0_passes_and_the_log_has_all_of_it(ask: Ask) -> None:
    result = ask({"a.txt": "hello\n"}, kind="command", run=sh("cat a.txt; echo oops >&2"))

    assert (result.passed, result.exit, result.detail) == (True, 0, "exit 0")
    assert (result.failures, result.artefacts, result.name) == ((), (), "command")
    assert sorted(Path(result.log).read_text().splitlines()) == [
        "$ sh -c 'cat a.txt; echo oops >&2'", "hello", "oops",
    ]  # fmt: skip


def test_a_wrong_exit_fails_with_the_end_of_the_output(ask: Ask) -> None:
    result = ask(kind="command", run=sh("echo one; echo two >&2; exit 3"))

    assert (result.passed, result.exit, result.detail) == (False, 3, "exit 3, not 0")
    (failure,) = result.failures
    assert failure.command == "sh -c 'echo one; echo two >&2; exit 3'"
    assert "two" in failure.message


def test_another_exit_can_be_asked_for(ask: Ask) -> None:
    assert ask(kind="command", run=["false"], exit=1).passed
    assert not ask(kind="command", run=["true"], exit=1).passed


@pytest.mark.parametrize(
    ("output", "good"), [("all good", True), ("/go+d$/", True), ("bad", False), ("/^good/", False)]
)
def test_output_is_a_text_or_a_regular_expression(ask: Ask, output: str, good: bool) -> None:
    assert ask(kind="command", run=["echo", "all good"], output=output).passed is good


def test_an_expression_that_searches_for_years_is_ended_by_the_time_limit(ask: Ask) -> None:
    """In a process of ours it would hold all other cells, and Ctrl+C."""
    result = ask(kind="command", run=["echo", "a" * 60 + "b"], output="/^(a+)+$/", timeout="2s")

    assert not result.passed
    assert result.detail == "searching for /^(a+)+$/ took longer than 2 s"


def test_time_out_is_a_failed_result_and_nothing_lives_on(ask: Ask, tmp_path: Path) -> None:
    """And what the program put into a session of its own ends, too."""
    begin = time.monotonic()
    result = ask(kind="command", timeout="300ms", run=sh("setsid sleep 60 & echo hi; sleep 60"))

    assert (result.passed, result.detail) == (False, "timed out after 0.3 s")
    assert time.monotonic() - begin < 30
    assert find_marked(f"test/{tmp_path.name}") == []
    assert "hi" in log_tail(Path(result.log))


def test_what_a_check_leaves_running_is_ended(ask: Ask, tmp_path: Path) -> None:
    result = ask(kind="command", run=sh("setsid sh -c 'sleep 60' >/dev/null 2>&1 & exit 0"))

    assert result.passed
    assert find_marked(f"test/{tmp_path.name}") == []


def test_a_program_that_is_not_there_is_a_failed_result(ask: Ask) -> None:
    result = ask(kind="command", run=["no-such-program"])

    assert not result.passed
    assert result.detail.startswith("no-such-program: program not found")


def test_a_folder_outside_the_worktree_is_refused(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "out").symlink_to(tmp_path)

    result = ask(kind="command", run=["true"], cwd="out")

    assert (result.passed, result.detail) == (False, "the folder out is not inside the worktree")


def test_stop_ends_it_and_says_nothing_about_the_code(ask: Ask) -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()

    result = ask(kind="command", run=["sleep", "60"], stop=stop)

    assert (result.passed, result.stopped, result.detail) == (
        False, True, "stopped before it ended",
    )  # fmt: skip


def test_secrets_and_escape_sequences_are_not_shown(ask: Ask) -> None:
    script = sh('printf "\\033[31m$MY_TOKEN\\033[0m\\n"; exit 1')

    result = ask(kind="command", run=script, environ={"MY_TOKEN": "s3cr3t-value"})

    assert result.failures[0].message.splitlines()[-1] == "***"


def test_the_environment_is_what_was_given_and_what_the_check_sets(ask: Ask) -> None:
    result = ask(
        kind="command", run=["env"], env={"MODE": "ci"}, environ={"LANG": "C"}, ports=(9000, 9001)
    )

    lines = log_tail(Path(result.log)).splitlines()
    assert {"MODE=ci", "LANG=C", "BACKEND_PORT=9000", "FRONTEND_PORT=9001"} <= set(lines)
    assert not [line for line in lines if line.startswith(("HOME=", "GIT_"))]


@pytest.mark.slow
def test_endless_output_is_kept_on_disk_not_in_memory(ask: Ask) -> None:
    result = ask(kind="command", run=py("for i in range(400000): print('x' * 99)"), output="x")

    assert result.passed
    assert Path(result.log).stat().st_size > 40_000_000


def test_what_a_killed_run_left_behind_is_ended_before_the_check_starts(
    ask: Ask, tmp_path: Path
) -> None:
    """An orchestrator that was killed cannot clean up; its next check must not meet a ghost."""
    environ = {**os.environ, MARKER: f"test/{tmp_path.name}"}
    ghost = subprocess.Popen(["sleep", "60"], env=environ, start_new_session=True)

    assert ask(kind="command", run=["true"]).passed

    assert ghost.wait(10) == -signal.SIGKILL


def test_evidence_of_the_interrupted_try_is_no_evidence(ask: Ask, tmp_path: Path) -> None:
    old = tmp_path / "out" / "artefacts"
    old.mkdir(parents=True)
    (old / "junit.xml").write_text('<testsuite><testcase name="x"/></testsuite>')

    result = ask(kind="junit", run=["true"], reports=["junit.xml"])

    assert (result.passed, result.artefacts) == (False, ())


def test_our_own_fault_is_never_a_pass(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong is a failed result, not an exception."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(room, "run_command", broken)

    result = ask(kind="command", run=["true"])

    assert (result.passed, result.detail) == (False, "cannot be judged: RuntimeError: no")
