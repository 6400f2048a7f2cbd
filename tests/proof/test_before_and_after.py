"""What is told of checks and reviewers before a run, and of what changed since the last one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do
from tests.proof.test_reviewers import reviewed

Make = Callable[..., Workspace]
LINT = {"kind": "command", "name": "lint", "run": ["true"], "timeout": "60s"}


def place(ws: Workspace, file: str, text: str) -> str:
    """`FILE:LINE` of the last line with a text."""
    lines = (ws.root / file).read_text().splitlines()
    return f"{file}:{max(n for n, line in enumerate(lines, 1) if text in line)}"


def explained(ws: Workspace) -> str:
    return ws.run("explain", f"{FEATURE}:one", code=0).stdout


def test_explain_names_the_field_of_a_check_that_changed(workspace: Make) -> None:
    ws = workspace(cells={"one": {"checks": [LINT]}})
    ws.run("run", FEATURE, code=0)
    ws.spec({"one": {"checks": [{**LINT, "timeout": "90s", "exit": 1}]}})
    said = explained(ws)
    assert "its checks changed" in said
    where = place(ws, f"specs/{FEATURE}.yaml", "timeout: 90s")
    assert f"    checks[0].timeout  ({where})\n      - 60.0\n      + 90.0\n" in said, said
    where = place(ws, f"specs/{FEATURE}.yaml", "exit: 1")
    assert f"    checks[0].exit  ({where})\n      + 1\n" in said, said
    ws.spec({"one": {"checks": [LINT, {**LINT, "name": "more"}], "allow_skipped_tests": True}})
    said = explained(ws)
    assert '"name": "more"' in said and "checks[1]" in said
    assert "    allow_skipped_tests" in said and "      - false\n      + true\n" in said
    ws.run("run", FEATURE, code=0)
    assert "nothing has changed since" in explained(ws)
    assert "✅ `more`" in ws.pr("one")["body"]  # the head is the same, the evidence is not
    nothing_to_do(ws)


def test_explain_names_a_check_of_the_settings(workspace: Make) -> None:
    ws = workspace(cells={"one": {}})
    ws.settings(repos={"app": {"checks": [LINT]}})
    ws.run("run", FEATURE, code=0)
    ws.settings(repos={"app": {"checks": [{**LINT, "timeout": "90s"}]}})
    where = place(ws, "orchestr.toml", "90s").partition(":")[0]
    said = explained(ws)
    assert f"    repos.app.checks[0].timeout  ({where}:" in said, said
    assert "      - 60.0\n      + 90.0\n" in said
    ws.settings(repos={"app": {"detect": True}})
    said = explained(ws)
    where = place(ws, "orchestr.toml", "detect")
    assert f"    repos.app.detect  ({where})\n      - false\n      + true\n" in said, said


def test_explain_names_what_changed_of_the_reviewers(workspace: Make) -> None:
    ws = reviewed(workspace, "ada", "eve")
    ws.run("run", FEATURE, code=0)
    ws.edit_spec("- agent: eve", "- agent: eve\n      model: large")
    ws.edit_spec("todo:", "review_rule: all\n    todo:")
    said = explained(ws)
    assert "its reviewers changed" in said
    where = place(ws, f"specs/{FEATURE}.yaml", "model: large")
    assert f"    reviewers[1].model  ({where})\n      + large\n" in said, said
    where = place(ws, f"specs/{FEATURE}.yaml", "review_rule")
    assert f"    review_rule  ({where})\n      - any\n      + all\n" in said, said


def test_explain_finds_reviewers_of_the_defaults(workspace: Make) -> None:
    ws = reviewed(workspace, "ada", "eve")
    ws.spec({"one": {}}, defaults={"reviewers": [{"agent": "ada"}]})
    ws.run("run", FEATURE, code=0)
    ws.spec({"one": {}}, defaults={"reviewers": [{"agent": "eve"}]})
    where = place(ws, f"specs/{FEATURE}.yaml", "agent: eve")
    expected = f"    reviewers[0].agent  ({where})\n      - ada\n      + eve\n"
    assert expected in explained(ws), explained(ws)


def test_new_screenshots_are_looked_at(workspace: Make) -> None:
    shot = {"kind": "command", "name": "shot", "run": ["true"]}
    ws = reviewed(workspace, "eve", screenshots=[shot])
    ws.run("run", FEATURE, code=0)
    ws.edit_spec("- 'true'", "- sh\n      - -c\n      - echo x > $ORCHESTR_ARTEFACTS/a.png")
    assert "screenshots[0].run" in explained(ws)
    ws.run("run", FEATURE, code=0)
    assert len(ws.starts("eve")) == 2


def with_agents(ws: Workspace, **more: Any) -> None:
    """Author `sh` and reviewer `eve`, both of provider `acme`, but for ``more``."""
    eve = {"kind": "command", "run": ["sh", "reviewer.sh"], "provider": "acme",
           "env": {"AGENT_LOG": str(ws.log), "AGENT_DIR": str(ws.agents)}}  # fmt: skip
    ws.settings(agents={"default": "sh", "sh": {"provider": "acme"}, "eve": {**eve, **more}})


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_reviewer_of_the_authors_provider_is_told(workspace: Make, verb: str) -> None:
    ws = reviewed(workspace, "eve")
    with_agents(ws)
    done = ws.run(verb, FEATURE, code=0)
    assert "warning: one: reviewer eve is of the author's provider, acme" in both(done)
    assert "set up an agent of another provider" in both(done)
    with_agents(ws, provider="other")
    assert "author's provider" not in both(ws.run(verb, FEATURE, code=0))


def test_the_hint_names_an_agent_of_another_provider(workspace: Make) -> None:
    ws = reviewed(workspace, "sh", "eve")
    done = ws.run("plan", FEATURE, code=0)
    assert "reviewer sh is of the author's provider, sh" in both(done)
    assert "reviewer eve" not in both(done)
    assert "set up an agent of another provider" in both(done), "a script judges what it knows"
    eve = {"kind": "command", "run": ["sh", "reviewer.sh"]}
    ws.settings(agents={"default": "sh", "eve": eve, "other": {"kind": "claude"}})
    assert "reviewers: [{agent: other}]" in both(ws.run("plan", FEATURE, code=0))


def test_a_reviewer_that_cannot_start_stops_the_run_before_it_begins(workspace: Make) -> None:
    ws = reviewed(workspace, "eve")
    with_agents(ws, run=["no-such-program"])
    done = ws.run("run", FEATURE, code=2)
    assert "error: agent eve:" in both(done) and "[agents.eve]" in both(done)
    assert ws.starts() == []


def test_a_paid_reviewer_is_asked_about(workspace: Make) -> None:
    ws = reviewed(workspace, "eve")
    with_agents(ws, paid=True)
    done = ws.run("run", FEATURE, code=2)
    assert "agents that cost money: eve" in both(done)
    assert ws.starts() == []
    ws.run("run", FEATURE, "--yes", code=0)
    ws.run("forget", f"{FEATURE}:one:review", code=0)
    assert "agents that cost money: eve" in both(ws.run("run", FEATURE, code=2))
    ws.run("run", FEATURE, "--yes", code=0)
    ws.run("run", FEATURE, code=0)  # nothing to do: nothing is asked
