"""`doctor --agent` as a user runs it: what it says before, the table, JSON, exit codes."""

from __future__ import annotations

import json

from orchestr.conformance.connect import FAKE_KEY
from orchestr.conformance.promises import PROMISES
from orchestr.conformance.request import Request, parse_request
from orchestr.run.try_agent import strip_table
from tests.e2e.conftest import MakeWorkspace, workspace
from tests.e2e.workspace import Workspace

__all__ = ["workspace"]


def make(workspace: MakeWorkspace) -> Workspace:
    mine = {"kind": "command", "run": ["sh", "-c", "echo x > a.txt"]}
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


def test_an_endpoint_leads_an_unknown_program_to_the_model() -> None:
    request = Request("a", {"kind": "command", "run": ["x"]}, "/bin", endpoint="MY_URL=/v1")
    again = parse_request(request.write())
    assert again == request
    connect = again.find_connection()
    assert connect is not None
    assert connect("http://127.0.0.1:9").env == {"MY_URL": "http://127.0.0.1:9/v1"}
    assert Request("a", {"kind": "command", "run": ["x"]}, "/bin").find_connection() is None
