"""Variables that the allow-list drops, in a whole run: who needs them is told what to write."""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.workspace import FEATURE, Workspace, both

Make = Callable[..., Workspace]

CHECK = {"kind": "command", "name": "t", "run": ["sh", "-c", 'echo "${ACME_TOKEN:?not set}"']}
ENV = {"ACME_TOKEN": "s3cr3t-value"}


def test_a_check_without_its_variable_costs_one_agent(workspace: Make) -> None:
    ws = workspace(cells={"one": {"checks": [CHECK]}})
    said = both(ws.run("run", FEATURE, env=ENV, code=1))
    told = "add pass_env: [ACME_TOKEN] to check t in specs/demo.yaml"
    assert told in said and "not evaluated" in said and "s3cr3t-value" not in said
    assert told in both(ws.run("explain", f"{FEATURE}:one", env=ENV))
    ws.run("run", FEATURE, env=ENV, code=1)
    ws.spec({"one": {"checks": [{**CHECK, "pass_env": ["ACME_TOKEN"]}]}})
    ws.run("run", FEATURE, env=ENV, code=0)
    assert ws.starts("one") == ["one 1"]


def test_a_check_of_the_settings(workspace: Make) -> None:
    ws = workspace(cells={"one": {}}, settings={"repos": {"app": {"checks": [CHECK]}}})
    said = both(ws.run("run", FEATURE, env=ENV, code=1))
    assert "add pass_env: [ACME_TOKEN] to check t in [repos.app] checks" in said


def test_an_agent_without_its_variable_is_told_where_to_name_it(workspace: Make) -> None:
    ws = workspace(cells={"one": {}, "two": {}})
    ws.script("one", 'echo "${ACME_TOKEN:?not set}" > a')
    ws.script("two", 'echo "error: ACME_TOKEN is not set"')  # ends well, with nothing done
    said = both(ws.run("run", FEATURE, env=ENV, code=1))
    told = 'add pass_env = ["ACME_TOKEN"] to [agents.sh] in orchestr.toml'
    assert said.count(told) >= 2 and "s3cr3t-value" not in said
    for cell in ("one", "two"):
        assert told in both(ws.run("explain", f"{FEATURE}:{cell}", env=ENV))
