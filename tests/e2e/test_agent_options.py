"""Options of agents, from the outside: who gets what, what is refused, what is built again."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import MakeWorkspace

# Every start notes what it was asked for; the check is red until the second repair.
AGENT = """\
echo "${ORCHESTR_ROLE:-author}${ORCHESTR_ROUND:+ $ORCHESTR_ROUND}: $ORCHESTR_MODEL $ORCHESTR_EFFORT $ORCHESTR_MAX_TURNS $*" >> "$AGENT_LOG"
if [ -n "$ORCHESTR_ROLE" ]; then
    echo '{"summary": "good", "issues": []}'
else
    echo "round ${ORCHESTR_ROUND:-0}" > a.txt
fi
"""  # noqa: E501
CHECK = {"kind": "command", "name": "unit", "run": ["grep", "-q", "round 2", "a.txt"]}
OPTIONS = {
    "implement": {"effort": "high", "args": ["--x"]},
    "repair": {"effort": "low", "rounds": [{"since": 2, "model": "large"}]},
}


def test_each_start_gets_what_is_said_for_it(workspace: MakeWorkspace) -> None:
    ws = workspace(
        cells={"a": {"checks": [CHECK],
                     "reviewers": [{"agent": "sh", "name": "r", "effort": "max"}],
                     "options": {"repair": OPTIONS["repair"]}}},
        agent=AGENT,
        defaults={"model": "usual", "options": {"implement": OPTIONS["implement"]}},
        settings={"agents": {"sh": {"max_turns": 9, "phases": {"review": {"model": "judge"}}}}},
    )  # fmt: skip
    plan = ws.run("plan", "demo", code=0).stdout
    assert "options   implement: model usual, effort high, args --x, turns at most 9" in plan
    assert "options   repair from round 2: model large, effort low" in plan
    assert "options   review r: model judge, effort max, turns at most 9" in plan

    ws.run("run", "demo", "--option", "repair.max_turns=3", code=0)

    assert ws.log.read_text().splitlines() == [
        "author: usual high 9 --x",
        "author 1: usual low 3 --x",
        "author 2: large low 3 --x",
        "reviewer: judge max 9 ",
    ]
    asked = [event["data"].get("options") for event in ws.journal(kind="attempt.started")]
    assert [one["max_turns"] for one in asked] == [9, 3, 3, 9]
    explained = ws.run("explain", "demo:a", code=0).stdout
    assert "options of repair: model usual (spec), effort low (spec options.repair)" in explained
    assert "turns at most 9 (agents.sh)" in explained


def test_a_changed_effort_is_a_changed_phase(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}}, agent=AGENT)
    ws.run("run", "demo", code=0)
    ws.spec({"a": {"options": {"repair": {"effort": "low"}}}})
    assert "0 would run" in ws.run("plan", "demo").stdout  # it counts for rounds that start anyway
    ws.spec({"a": {"options": {"implement": {"effort": "low"}}}})
    text = ws.run("explain", "demo:a", code=0).stdout
    assert "options.implement.effort  (specs/demo.yaml:" in text
    ws.run("run", "demo", code=0)
    assert len(ws.starts()) == 2
    typed = ["--effort", "high", "--option", "review.model=x"]  # no input of a result
    assert "0 would run" in ws.run("run", "demo", "--dry-run", *typed, code=0).stdout


def test_what_an_agent_cannot_be_given_is_refused_with_its_line(workspace: MakeWorkspace) -> None:
    ws = workspace(
        cells={"a": {"agent": "codex", "options": {"plan": {"max_turns": 3}},
                     "reviewers": [{"agent": "sh", "mcp": ["nix"]}]}},
        settings={"agents": {"codex": {"kind": "codex", "program": "true"}}},
    )  # fmt: skip
    for verb in (["validate"], ["run", "demo", "--yes"]):
        done = ws.run(*verb, code=2)
        text = done.stdout + done.stderr
        assert "agent codex: kind `codex` cannot be given `max_turns`" in text
        assert "agent sh: there is no MCP server `nix`" in text
        assert text.count("specs/demo.yaml:") >= 2
    done = ws.run("run", "demo", "--yes", "--option", "implement.fallback_model=x", code=2)
    assert "agent codex: kind `codex` cannot be given `fallback_model`" in done.stderr
    assert ws.journal() == []

    path = Path(ws.root / "orchestr.toml")
    path.write_text(path.read_text() + "\n[agents.codex.phases.repair]\nmax_turns = 4\n")
    done = ws.run("list", code=2)
    assert "orchestr.toml:" in done.stderr
    assert "agents.codex.phases.repair.max_turns: kind `codex` cannot be given" in done.stderr


def test_a_wrong_option_of_the_command_line_is_named(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    for word, said in (
        ("effort=high", "wants PHASE.FIELD=VALUE"),
        ("reviewer.effort=high", "there is no phase 'reviewer'"),
        ("review.efort=high", "unknown option"),
        ("repair.max_turns=many", "must be a whole number"),
    ):
        assert said in ws.run("run", "demo", "--option", word, code=2).stderr
