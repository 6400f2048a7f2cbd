"""An agent's life under its supervisor: output, limits, what it leaves behind."""

from __future__ import annotations

import json
import os
import sys
import threading

import pytest
from attempts import Attempt

from orchestr.supervisor import client
from orchestr.supervisor.client import AttemptState, ExitReason

DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if {close}:
            os.close(1), os.close(2)
        os.execve("/bin/sh", ["sh", "-c", "trap '' TERM INT; touch daemon; sleep 300; :"], {env})
    os._exit(0)
while not os.path.exists("daemon"):
    time.sleep(0.01)
print("bye", flush=True)
"""


def test_an_agent_that_ends_well(attempt: Attempt) -> None:
    attempt.sh("echo one; echo two >&2; echo; exit 0")
    child = attempt.start()
    ended = client.wait_for_exit(attempt.dir, child=child, stop=threading.Event())
    assert ended is not None
    assert (ended.code, ended.signal, ended.reason) == (0, None, ExitReason.EXITED)
    assert (ended.last_line, ended.bytes, ended.killed, ended.detail) == ("one", 9, 0, "")
    assert ended.started_at <= ended.finished_at
    assert attempt.said() == ["one", ""]
    assert attempt.said("stderr") == ["two"]
    assert set(attempt.transcript()[0]) == {"ts", "stream", "text"}
    assert child.returncode == 0
    assert client.read_attempt_state(attempt.dir) is AttemptState.EXITED
    assert json.loads((attempt.dir / "exit.json").read_text())["schema"] == 1
    assert (attempt.dir / "supervisor.log").read_text() == ""


def test_exit_code_and_signal_are_told_apart(attempt: Attempt) -> None:
    attempt.sh("kill -9 $$")
    ended = attempt.run()
    assert (ended.code, ended.signal, ended.reason) == (None, 9, ExitReason.EXITED)


def test_environment_stdin_and_directory_are_those_of_launch_json(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GH_TOKEN", "not-for-agents")
    prompt = attempt.work / "prompt"
    prompt.write_text("do it\n")
    attempt.sh("cat; pwd; env | cut -d= -f1 | sort", stdin=str(prompt))
    attempt.run()
    said = attempt.said()
    assert said[:2] == ["do it", str(attempt.work)]
    # PWD, OLDPWD, SHLVL and _ are the shell's own.
    assert set(said[2:]) - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "ORCHESTR_ATTEMPT_ID"}


def test_stdin_is_empty_and_no_descriptor_or_terminal_is_inherited(attempt: Attempt) -> None:
    attempt.python(
        "import os,sys; print(sys.stdin.read() == '', os.getsid(0) == os.getpid());"
        "print(sorted(os.readlink(f'/proc/self/fd/{n}').split(':')[0] for n in (0, 1, 2)))\n"
        "print([n for n in os.listdir('/proc/self/fd') if int(n) > 3])"
    )
    attempt.run()
    assert attempt.said() == ["True True", "['/dev/null', 'pipe', 'pipe']", "[]"]


def test_signals_are_back_at_their_defaults(attempt: Attempt) -> None:
    attempt.python(
        "import signal; print([n.name for n in (signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD) "
        "if signal.getsignal(n) is not signal.SIG_DFL], signal.pthread_sigmask(0, []))"
    )
    attempt.run()
    assert attempt.said() == ["[] set()"]


def test_a_program_that_is_not_there(attempt: Attempt) -> None:
    attempt.launch(["no-such-agent"])
    ended = attempt.run()
    assert (ended.code, ended.signal, ended.reason) == (None, None, ExitReason.SPAWN_FAILED)
    assert "no-such-agent" in ended.detail


def test_a_directory_that_is_not_there(attempt: Attempt) -> None:
    attempt.sh("true", cwd="/no/such/folder")
    ended = attempt.run()
    assert (ended.reason, "/no/such/folder" in ended.detail) == (ExitReason.SPAWN_FAILED, True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"argv": ["true"]}'])
def test_a_broken_launch_file_is_a_result_too(attempt: Attempt, text: str) -> None:
    (attempt.dir / "launch.json").write_text(text)
    assert attempt.run().reason is ExitReason.SPAWN_FAILED


def test_total_limit(attempt: Attempt) -> None:
    attempt.sh("while :; do echo on; sleep 0.05; done", timeout=0.4)
    ended = attempt.run()
    assert (ended.reason, ended.code, ended.signal) == (ExitReason.TIMEOUT, None, 2)
    assert not attempt.survivors()


def test_idle_limit_counts_from_the_last_output(attempt: Attempt) -> None:
    attempt.sh("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done; sleep 60", idle_timeout=0.5)
    ended = attempt.run()
    assert (ended.reason, ended.last_line) == (ExitReason.IDLE, "8")


def test_after_its_result_an_agent_has_so_long_to_end(attempt: Attempt) -> None:
    attempt.sh(
        """echo '{"type":"assistant"}'; echo '{"type":"result","ok":true}'; sleep 60""",
        format="json",
        after_result=0.3,
    )
    ended = attempt.run()
    assert ended.reason is ExitReason.AFTER_RESULT
    assert attempt.transcript() == [{"type": "assistant"}, {"type": "result", "ok": True}]


def test_an_agent_names_its_own_last_event(attempt: Attempt) -> None:
    attempt.sh(
        """echo '{"type":"turn.completed"}'; sleep 60""",
        format="json",
        after_result=0.3,
        ends=["turn.completed"],
    )
    assert attempt.run().reason is ExitReason.AFTER_RESULT


def test_an_agent_that_goes_on_after_all_is_let_work(attempt: Attempt) -> None:
    attempt.sh(
        """echo '{"type":"step","part":{"reason":"stop"}}'; echo '{"type":"begin"}'; sleep 0.6;
        echo '{"type":"step","part":{"reason":"more"}}'""",
        format="json",
        after_result=0.2,
        ends=["step part.reason=stop"],
        goes_on=["begin"],
    )
    assert attempt.run().reason is ExitReason.EXITED


def test_the_word_result_in_plain_lines_means_nothing(attempt: Attempt) -> None:
    attempt.sh("""echo '{"type":"result"}'; sleep 0.6; echo end""", after_result=0.1)
    ended = attempt.run()
    assert (ended.reason, ended.last_line) == (ExitReason.EXITED, "end")


def test_closed_pipes_count_as_a_result(attempt: Attempt) -> None:
    attempt.sh("echo done; exec >&- 2>&-; sleep 60", after_result=0.3)
    assert attempt.run().reason is ExitReason.AFTER_RESULT


def test_who_ignores_everything_is_killed(attempt: Attempt) -> None:
    attempt.sh("trap '' INT TERM; while :; do sleep 0.1; done", timeout=0.3, grace=0.2)
    ended = attempt.run()
    assert (ended.reason, ended.signal) == (ExitReason.TIMEOUT, 9)
    assert not attempt.survivors()


def test_who_ends_at_the_interrupt_keeps_its_exit_code(attempt: Attempt) -> None:
    attempt.sh("trap 'echo saved; exit 7' INT; while :; do sleep 0.1; done", timeout=0.3, grace=5)
    ended = attempt.run()
    assert (ended.reason, ended.code, ended.last_line) == (ExitReason.TIMEOUT, 7, "saved")


@pytest.mark.parametrize("close", [True, False], ids=["pipes closed", "pipes held"])
@pytest.mark.parametrize("env", ["dict(os.environ)", "{'PATH': '/usr/bin:/bin'}"])
def test_a_daemon_is_found_and_killed(attempt: Attempt, close: bool, env: str) -> None:
    """Own session, double fork, deaf to signals, even without the marker: by descent."""
    attempt.python(DAEMON.format(close=close, env=env))
    ended = attempt.run()
    assert (ended.reason, ended.code, ended.last_line) == (ExitReason.EXITED, 0, "bye")
    assert ended.killed >= 1
    assert not attempt.survivors()


def test_children_in_the_background_are_killed_and_counted(attempt: Attempt) -> None:
    attempt.sh("sleep 300 & sleep 300 & setsid sleep 300 & echo ok; sleep 0.2")
    ended = attempt.run()
    assert (ended.code, ended.killed) == (0, 3)


def test_something_that_forks_all_the_time_is_killed(attempt: Attempt) -> None:
    attempt.python(
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    while True:\n"
        "        if os.fork() == 0: continue\n"
        "        time.sleep(0.002); os._exit(0)\n"
        "time.sleep(0.2)"
    )
    assert attempt.run().code == 0
    assert not attempt.survivors()


def test_many_orphans_leave_no_zombies(attempt: Attempt) -> None:
    attempt.sh("for i in 1 2 3 4 5 6 7 8 9; do (sleep 0.01 &); done; sleep 0.4; ps -e -o stat,ppid")
    attempt.run()
    me = client.read_supervisor_record(attempt.dir)
    assert me is not None
    assert [line for line in attempt.said() if line.startswith("Z") and str(me.pid) in line] == []


def test_output_that_is_not_utf8_and_progress_bars(attempt: Attempt) -> None:
    attempt.python(
        "import sys; w = sys.stdout.buffer.write\n"
        r"w(b'caf\xe9\r\n10%\r20%\r100%\n  \nno end \xf0\x9f\x92\xa9')"
    )
    ended = attempt.run()
    assert attempt.said() == ["caf\ufffd", "10%\r20%\r100%", "  ", "no end \U0001f4a9"]
    assert ended.last_line == "no end \U0001f4a9"


def test_last_line_is_what_a_terminal_shows_and_is_capped(attempt: Attempt) -> None:
    attempt.python("print('x\\r' + 'y' * 9000 + '\\r')")
    assert attempt.run().last_line == "y" * 4096


def test_long_lines_are_cut_between_characters(attempt: Attempt) -> None:
    attempt.python("print('é' * 100_000 + '!'); print('after')")
    attempt.run()
    lines = attempt.transcript()
    assert "".join(line["text"] for line in lines) == "é" * 100_000 + "!" + "after"
    assert [line.get("more", False) for line in lines] == [True] * 3 + [False, False]


def test_json_keeps_events_as_they_are_and_wraps_the_rest(attempt: Attempt) -> None:
    big = json.dumps({"type": "tool", "text": "z" * 300_000})
    attempt.python(
        "print('banner'); print('  {\"type\": \"a\", \"n\": 1.0} '); print('[1]'); print('{no');"
        'print(\'{"type":"tool","text":"\' + \'z\' * 300_000 + \'"}\')',
        format="json",
    )
    attempt.run()
    raw = (attempt.dir / "transcript.jsonl").read_text().splitlines()
    lines = attempt.transcript()
    assert raw[1] == '{"type": "a", "n": 1.0}'
    assert [line.get("text") for line in lines if "stream" in line] == ["banner", "[1]", "{no"]
    assert lines[-1] == json.loads(big)


def test_an_event_that_is_far_too_long_is_cut(attempt: Attempt) -> None:
    attempt.python(
        "print('{\"a\":\"' + 'z' * 3_000_000 + '\"}')\nprint('{\"b\":1}')", format="json"
    )
    attempt.run()
    *pieces, last = attempt.transcript()
    assert last == {"b": 1}
    assert len("".join(p["text"] for p in pieces)) == 3_000_000 + 8
    assert [p.get("more", False) for p in pieces] == [True] * (len(pieces) - 1) + [False]


def test_a_torn_transcript_is_ended_first_and_kept(attempt: Attempt) -> None:
    (attempt.dir / "transcript.jsonl").write_text('{"ts":"1"}\n{"ts":"2","te')
    attempt.sh("echo new")
    attempt.run()
    lines = (attempt.dir / "transcript.jsonl").read_text().splitlines()
    assert lines[:2] == ['{"ts":"1"}', '{"ts":"2","te']
    assert json.loads(lines[2])["text"] == "new"


@pytest.mark.slow
def test_300_mb_of_output_in_little_memory(attempt: Attempt) -> None:
    import psutil
    from attempts import eventually

    attempt.launch(
        [
            "sh",
            "-c",
            "yes 0123456789012345678901234567890123456789012345678901234567890123456789"
            " | head -c 300000000; sleep 0.5",
        ]
    )
    child = attempt.start()
    me = psutil.Process(child.pid)
    peak = 0

    def over() -> bool:
        nonlocal peak
        try:
            peak = max(peak, me.memory_info().rss)
        except psutil.NoSuchProcess:
            return True
        return child.poll() is not None

    eventually(over, patience=120)
    ended = client.read_exit(attempt.dir)
    assert ended is not None
    assert (ended.bytes, ended.code, ended.detail) == (300_000_000, 0, "")
    assert peak < 40 << 20
    print("peak", peak >> 20, "MB", ended.seconds, "s", sys.version_info[:2])


def test_an_agent_finds_no_secret_of_the_user_in_its_supervisor(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GH_TOKEN", "gho_of_the_user_12345678")
    attempt.sh("tr '\\0' '\\n' < /proc/$PPID/environ | cut -d= -f1 | sort")
    attempt.run()
    names = attempt.said()
    assert "PATH" in names and "PYTHONPATH" in names
    assert "GH_TOKEN" not in names and "ORCHESTR_ATTEMPT_ID" not in names


TOKEN = "ghp_" + "a1B2c3D4" * 5
SAYS = (
    "import json, os, sys, time\n"
    "key = os.environ['MY_API_KEY']\n"
    "print('it is', key)\n"
    "print('of a file', 'hush-' * 3)\n"
    f"sys.stdout.write('=' * 65500 + ' {TOKEN} ' + '=' * 200_000 + '\\n')\n"
    f"sys.stdout.write(' {TOKEN[:20]}'); sys.stdout.flush(); time.sleep(0.1)\n"
    f"print('{TOKEN[20:]}', file=sys.stdout)\n"
    "print(json.dumps({'type': 'result', 'key': key}))\n"
    f"print('last {TOKEN} ' + key)\n"
    "print(key, file=sys.stderr)\n"
)


@pytest.mark.parametrize("how", ["lines", "json"])
@pytest.mark.parametrize("raw", [False, True])
def test_what_is_written_holds_no_secret(attempt: Attempt, how: str, raw: bool) -> None:
    key = 'my "own" \\ secret value'
    env = {"PATH": os.environ["PATH"], "MY_API_KEY": key}
    attempt.python(SAYS, env=env, format=how, raw_logs=raw, hidden=("hush-" * 3,))
    ended = attempt.run()
    files = [f for f in attempt.dir.iterdir() if f.is_file() and f.name != "launch.json"]
    written = b"".join(f.read_bytes() for f in files).decode()
    shown = [TOKEN[i : i + 8] for i in range(0, len(TOKEN) - 7) if TOKEN[i : i + 8] in written]
    assert (bool(shown), "secret value" in written) == (raw, raw)
    assert ("hush-hush" in written) == raw
    assert any("it is" in line for line in attempt.said())
    if how == "lines":
        assert ended.last_line.startswith("last ")
    else:
        assert {"type": "result", "key": key if raw else "***"} in attempt.transcript()
