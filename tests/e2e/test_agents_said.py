"""What a person is told about agents that are not there, and about options that make no sense."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import MakeWorkspace

FOUR = ("claude", "codex", "gemini", "opencode")


def test_doctor_says_which_agents_cannot_be_used(workspace: MakeWorkspace) -> None:
    """Declared and used by no spec: no error, but not passed over either."""
    broken = {kind: {"kind": kind, "program": f"/nowhere/{kind}"} for kind in FOUR[:3]}
    broken["opencode"] = {"kind": "opencode", "program": "/bin/false"}
    ws = workspace(cells={"a": {}}, settings={"agents": broken})
    (line,) = [x for x in ws.run("doctor", code=0).stdout.splitlines() if x.startswith("agents")]
    told = [f"{kind} (program '/nowhere/{kind}' is not on PATH)" for kind in FOUR[:3]]
    told.append("opencode (`/bin/false --version` fails)")
    assert line == f"agents     sh, {', '.join(told)}"

    ws.edit_spec("agent: sh", "agent: codex")
    said = ws.run("doctor", code=1).stdout
    assert "error: agent codex: program '/nowhere/codex' is not on PATH" in said
    assert "change [agents.codex] in orchestr.toml" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--budget", "x"), "--budget wants a number, got 'x'"),
        (("--budget-tokens", "1.5"), "--budget-tokens wants a whole number, got '1.5'"),
        (("--jobs", "many"), "--jobs wants a whole number, got 'many'"),
        (("--budget", "0"), "a budget must be more than 0"),
        (("--budget", "nan"), "a budget must be more than 0"),
    ],
)
def test_an_option_that_makes_no_sense(
    workspace: MakeWorkspace, words: tuple[str, str], told: str
) -> None:
    said = workspace(cells={"a": {}}).run("run", "demo", *words, code=2).stderr
    assert said.startswith(f"error: {told}\n"), said
