"""The one door: commands run, fail, hang and flood, and nothing of them stays."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import psutil
import pytest

from orchestr.process.run import (
    CannotStart,
    ProcessFailed,
    ProcessTimeout,
    ProgramMissing,
    run_command,
    stream_lines,
)
from tests.processes import wait_until_gone

ENV = {"PATH": os.environ["PATH"]}


def test_output_code_and_directory(tmp_path: Path) -> None:
    done = run_command(["sh", "-c", "pwd; echo e >&2; exit 3"], cwd=tmp_path, env=ENV, check=False)
    assert (done.code, done.text, done.err, done.dropped) == (3, f"{tmp_path}\n", b"e\n", 0)
    assert done.argv == ("sh", "-c", "pwd; echo e >&2; exit 3")


def test_environment_is_exactly_what_is_given(tmp_path: Path) -> None:
    done = run_command(["env"], cwd=tmp_path, env={**ENV, "A": "b"})
    assert sorted(line.split("=")[0] for line in done.text.splitlines()) == ["A", "PATH"]


def test_no_terminal_and_no_input_but_what_is_fed(tmp_path: Path) -> None:
    assert run_command(["cat"], cwd=tmp_path, env=ENV).out == b""
    big = bytes(range(256)) * 8000
    assert run_command(["cat"], cwd=tmp_path, env=ENV, input=big).out == big
    assert run_command(["true"], cwd=tmp_path, env=ENV, input=big).code == 0
    tty = run_command(["sh", "-c", ": </dev/tty"], cwd=tmp_path, env=ENV, check=False)
    assert tty.code != 0


def test_a_failure_shows_command_directory_code_and_tail(tmp_path: Path) -> None:
    env = {**ENV, "GH_TOKEN": "gho_1234567", "DEBUG": "visible"}
    script = "echo ignored; echo $GH_TOKEN $DEBUG https://me:pw@host/x >&2; exit 7"
    with pytest.raises(ProcessFailed) as raised:
        run_command(["sh", "-c", script], cwd=tmp_path, env=env)
    assert str(raised.value) == (
        "sh -c 'echo ignored; echo $GH_TOKEN $DEBUG https://***@host/x >&2; exit 7': exit 7\n"
        f"  in {tmp_path}\n"
        "  | *** visible https://***@host/x"
    )
    assert raised.value.completed.code == 7
    assert raised.value.completed.err.startswith(b"gho_1234567")


def test_a_signal_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match="killed by SIGKILL"):
        run_command(["sh", "-c", "kill -9 $$"], cwd=tmp_path, env=ENV)


def test_what_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissing, match="no-such-program: program not found") as missing:
        run_command(["no-such-program"], cwd=tmp_path, env=ENV)
    assert missing.value.hint and "PATH" in missing.value.hint
    with pytest.raises(CannotStart, match="there is no directory"):
        run_command(["true"], cwd=tmp_path / "absent", env=ENV)
    script = tmp_path / "script"
    script.write_text("no program")
    with pytest.raises(CannotStart, match="cannot be started"):
        run_command([script], cwd=tmp_path, env=ENV)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(CannotStart, match="Exec format error"):
        run_command([script], cwd=tmp_path, env=ENV)
    with pytest.raises(CannotStart):
        run_command(["true", "\0"], cwd=tmp_path, env=ENV)


def test_a_timeout_keeps_the_output_and_ends_the_tree(tmp_path: Path) -> None:
    script = "setsid sleep 300 & echo $!; sleep 300 & echo $!; echo end; wait"
    with pytest.raises(ProcessTimeout, match=r"timed out after 0\.3s") as raised:
        run_command(["sh", "-c", script], cwd=tmp_path, env=ENV, timeout=0.3, check=False)
    *pids, last = raised.value.completed.out.split()
    assert last == b"end"
    assert all(wait_until_gone(int(pid)) for pid in pids)


def test_a_timeout_of_who_ignores_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestr.process.child.GRACE", 0.1)
    script = "trap '' INT TERM; echo $$; while :; do sleep 0.05; done"
    with pytest.raises(ProcessTimeout) as raised:
        run_command(["sh", "-c", script], cwd=tmp_path, env=ENV, timeout=0.2)
    assert raised.value.completed.code == -signal.SIGKILL
    assert wait_until_gone(int(raised.value.completed.out))


def test_a_timeout_after_the_pipes_were_closed(tmp_path: Path) -> None:
    with pytest.raises(ProcessTimeout):
        run_command(["sh", "-c", "exec >&- 2>&-; sleep 300"], cwd=tmp_path, env=ENV, timeout=0.2)


def test_a_daemon_on_our_pipes_does_not_hold_us_up(tmp_path: Path) -> None:
    done = run_command(
        ["sh", "-c", "setsid sleep 300 & echo $!"], cwd=tmp_path, env=ENV, timeout=60
    )
    pid = int(done.out)
    assert psutil.pid_exists(pid)
    os.kill(pid, signal.SIGKILL)


def test_what_a_check_leaves_running_is_ended(tmp_path: Path) -> None:
    script = "sleep 300 & echo $!; exec 2>&- >&-"
    done = run_command(["sh", "-c", script], cwd=tmp_path, env=ENV, kill_left=True)
    assert wait_until_gone(int(done.out))


def test_beyond_the_limit_the_tail_is_kept(tmp_path: Path) -> None:
    script = "yes | head -c 5000000; echo end; exit 1"
    with pytest.raises(ProcessFailed, match="bytes of output before this were not kept") as raised:
        run_command(["sh", "-c", script], cwd=tmp_path, env=ENV, limit=1000)
    done = raised.value.completed
    assert (len(done.out), done.out[-4:], done.dropped) == (1000, b"end\n", 5000004 - 1000)


def test_output_to_a_file_and_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "out"
    done = run_command(["printf", r"caf\351"], cwd=tmp_path, env=ENV, stdout=path)
    assert (done.out, path.read_bytes()) == (b"", b"caf\xe9")
    assert run_command(["printf", r"caf\351"], cwd=tmp_path, env=ENV).text == "caf\ufffd"


def test_lines_as_they_come(tmp_path: Path) -> None:
    script = "echo a; echo; printf 'no end'"
    assert list(stream_lines(["sh", "-c", script], cwd=tmp_path, env=ENV)) == [b"a", b"", b"no end"]


def test_lines_left_early_end_the_command(tmp_path: Path) -> None:
    with stream_lines(["sh", "-c", "echo $$; exec sleep 300"], cwd=tmp_path, env=ENV) as lines:
        pid = int(next(lines))
    assert wait_until_gone(pid)
    lines.close()


def test_lines_of_a_command_that_fails_or_hangs(tmp_path: Path) -> None:
    lines = stream_lines(["sh", "-c", "echo a; echo why >&2; exit 2"], cwd=tmp_path, env=ENV)
    assert next(lines) == b"a"
    with pytest.raises(ProcessFailed, match="why"):
        next(lines)
    with pytest.raises(ProcessTimeout):
        list(stream_lines(["sleep", "300"], cwd=tmp_path, env=ENV, timeout=0.2))
    with pytest.raises(ProgramMissing):
        stream_lines(["no-such-program"], cwd=tmp_path, env=ENV)
