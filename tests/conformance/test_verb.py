"""`doctor --agent` as a user runs it: what it says before, the table, JSON, exit codes."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from orchestr.conformance.connect import FAKE_KEY
from orchestr.conformance.evidence import Evidence
from orchestr.conformance.perform import explain_no_start
from orchestr.conformance.promises import PROMISES
from orchestr.conformance.request import Request, parse_request
from orchestr.run.try_agent import make_place, strip_table
from tests.e2e.conftest import MakeWorkspace, workspace
from tests.e2e.workspace import PATIENCE, Spawned, Workspace

__all__ = ["workspace"]


def make(workspace: MakeWorkspace, script: str = "echo x > a.txt") -> Workspace:
    mine = {"kind": "command", "run": ["sh", "-c", script]}
    return workspace(settings={"agents": {"mine": mine}})


def test_an_agent_whose_model_is_not_known_gets_what_can_be_tried(
    workspace: MakeWorkspace,
) -> None:
    ws = make(workspace)
    done = ws.run("doctor", "--agent", "mine", "--json", code=0)
    assert "Tries what agent mine keeps (promises: 1, runs: 1)" in done.stderr
    assert "none of your logins" in done.stderr
    value = json.loads(done.stdout)
    assert (value["kept"], value["not_kept"]) == (1, 0)
    assert value["untried"] == len(PROMISES) - 1
    notes = {one["name"]: one["note"] for one in value["promises"]}
    assert notes["work"] == "it is not known how its model is replaced"
    assert [one["kept"] for one in value["promises"] if one["name"] == "survivors"] == [True]


def test_what_is_asked_for_wrongly(workspace: MakeWorkspace) -> None:
    ws = make(workspace)
    assert "did you mean `mine`?" in ws.run("doctor", "--agent", "mime", code=2).stderr
    assert "--json is for --agent" in ws.run("doctor", "--json", code=2).stderr


def test_nothing_of_the_user_goes_along(workspace: MakeWorkspace) -> None:
    ws = make(workspace)
    (ws.root / "tool.sh").touch()
    table = {"kind": "command", "run": ["sh", "tool.sh"], "paid": True, "sign": "off",
             "pass_env": ["MY_API_KEY", "MY_REGION"],
             "env": {"MINE": "1", "MY_TOKEN": "secret"}}  # fmt: skip
    assert strip_table(table, ws.root) == {
        "kind": "command",
        "run": ["sh", str(ws.root / "tool.sh")],
        "env": {"MINE": "1", "MY_TOKEN": FAKE_KEY, "MY_API_KEY": FAKE_KEY},
    }


def test_no_login_of_the_user_and_no_server_of_his_goes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of settings that the table names holds a login, and may lead to a paid model."""
    monkeypatch.setenv("HOME", str(tmp_path))
    env = {"CODEX_HOME": "/data/codex", "CLAUDE_CONFIG_DIR": "~/work", "XDG_CONFIG_HOME": "/x",
           "MY_URL": "https://model", "TOOL_HOME": "/opt/tool", "CACHE": f"{tmp_path}/cache",
           "PATH": f"{tmp_path}/bin", "ANTHROPIC_BASE_URL": "https://model"}  # fmt: skip
    table = {"kind": "codex", "env": env, "mcp": ["docs"],
             "phases": {"review": {"mcp": ["docs"], "effort": "high"}}}  # fmt: skip
    assert strip_table(table, tmp_path, ["MY_*"]) == {
        "kind": "codex",
        "env": {"TOOL_HOME": "/opt/tool", "PATH": f"{tmp_path}/bin"},
        "phases": {"review": {"effort": "high"}},
    }


def test_a_run_that_starts_no_agent_keeps_no_promise() -> None:
    seen = Evidence(output="orchestr.toml:3: error: there is no such key\n  hint: leave it out\n")
    assert explain_no_start(seen) == (
        "it was not started: orchestr.toml:3: error: there is no such key"
    )
    assert explain_no_start(Evidence(events=({"kind": "attempt.started"},))) == ""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_trial_leaves_nothing(
    workspace: MakeWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign: signal.Signals
) -> None:
    """After SIGKILL its processes end, and the next trial removes its folder."""
    ws = make(workspace, "exec sleep 50.5")
    place = tmp_path / "tmp"
    place.mkdir()
    child = ws.spawn("doctor", "--agent", "mine", env={"TMPDIR": str(place)})
    wait_until(lambda: ["sleep", "50.5"] in find_processes(place), child)
    child.send_signal(sign)
    child.wait()
    wait_until(lambda: not find_processes(place))
    if sign is signal.SIGKILL:
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        with make_place() as own:
            assert [*place.iterdir()] == [own]
    assert [*place.iterdir()] == []


def find_processes(place: Path) -> list[list[str]]:
    """The commands of those with the folder in their environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(str(place) in value for value in process.environ().values()):
                found.append(process.cmdline())
    return found


def wait_until(ready: Callable[[], bool], child: Spawned | None = None) -> None:
    """Wait for a condition; fails with what the command has said when that ends before."""
    end = time.monotonic() + PATIENCE
    while not ready():
        assert child is None or child.poll() is None, child.said()
        assert time.monotonic() < end, child.said() if child is not None else "it did not come"
        time.sleep(0.1)


def test_an_endpoint_leads_an_unknown_program_to_the_model() -> None:
    request = Request("a", {"kind": "command", "run": ["x"]}, "/bin", endpoint="MY_URL=/v1")
    again = parse_request(request.write())
    assert again == request
    connect = again.find_connection()
    assert connect is not None
    assert connect("http://127.0.0.1:9").env == {"MY_URL": "http://127.0.0.1:9/v1"}
    assert Request("a", {"kind": "command", "run": ["x"]}, "/bin").find_connection() is None
