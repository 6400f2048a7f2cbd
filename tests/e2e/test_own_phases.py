"""Phases of one's own: agents and commands between the worktree and the pull request."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, nothing_to_do

# Notes `PHASE CELL`; a phase of one's own does what `PHASE.sh` says.
AGENT = """\
echo "${ORCHESTR_PHASE:-work} $ORCHESTR_CELL" >> "$AGENT_LOG"
cp "$ORCHESTR_PROMPT_FILE" "$AGENT_DIR/${ORCHESTR_PHASE:-work}.seen"
. "$AGENT_DIR/${ORCHESTR_PHASE:-work}.sh"
"""
GENERATE = {"name": "generate", "run": ["sh", "-c", "sed s/^/made:/ work.txt > made.txt"]}
DOCS = {"name": "docs", "prompt": "prompts/docs.md", "owned_paths": ["docs/**"]}
SCHEMA = {
    "type": "object",
    "properties": {"risk": {"type": "integer"}},
    "required": ["risk"],
}
CLASSIFY = {"name": "classify", "prompt": "prompts/classify.md", "output": "verdict.json",
            "schema": SCHEMA}  # fmt: skip


def house(make: MakeWorkspace, phases: list[Any], **cell: Any) -> Workspace:
    """One cell `low` with these phases; its work writes `work.txt`, its docs copy `made.txt`."""
    ws = make(cells={"low": {"phases": phases, **cell}}, agent=AGENT)
    (ws.root / "prompts").mkdir()
    (ws.root / "prompts" / "docs.md").write_text("Write the docs of {{ cell.name }}.\n")
    (ws.root / "prompts" / "classify.md").write_text("How risky is it?\n")
    does(ws, "work", "echo one > work.txt")
    does(ws, "docs", "mkdir -p docs; cp made.txt docs/page.md")
    does(ws, "classify", """echo 'I think:'; echo '{"risk": 3}'""")
    return ws


def does(ws: Workspace, phase: str, script: str) -> None:
    (ws.agents / f"{phase}.sh").write_text(f"{script}\n")


def shown(ws: Workspace, path: str, cell: str = "low") -> str:
    return git(ws.repos / "app.git", "show", f"{ws.branch(cell)}:{path}")


def test_what_phases_change_is_checked_and_published(workspace: MakeWorkspace) -> None:
    checks = [{"kind": "command", "run": ["test", "-f", "docs/page.md"]}]
    phases = ["implement", GENERATE, DOCS, "check", "review", "publish"]
    ws = house(workspace, phases, checks=checks)
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["work low", "docs low"]
    assert shown(ws, "docs/page.md") == "made:one"
    assert "Write the docs of low." in (ws.agents / "docs.seen").read_text()
    nothing_to_do(ws)
    steps = list(ws.status()["low"]["phases"])
    assert steps == ["worktree", "implement", "generate", "docs", "check", "review", "publish"]


def test_an_output_decides_what_follows(workspace: MakeWorkspace) -> None:
    """A phase that only reads gives out JSON; `when:` reads it, prompts quote what they need."""
    docs = {**DOCS, "when": "classify['risk'] > 2", "needs": ["classify"]}
    phases = ["implement", GENERATE, CLASSIFY, docs, "check", "publish"]
    ws = house(workspace, phases)
    does(ws, "classify", 'echo spoilt > work.txt; echo \'{"risk": 3}\' > "$ORCHESTR_OUTPUT_FILE"')
    said = ws.run("run", "demo", code=0)
    assert ws.starts() == ["work low", "classify low", "docs low"]
    assert (shown(ws, "docs/page.md"), shown(ws, "work.txt")) == ("made:one", "one")
    assert "while phase `classify` worked, it changed work.txt" in said.stdout + said.stderr
    assert '"risk": 3' in (ws.agents / "docs.seen").read_text()
    nothing_to_do(ws)

    does(ws, "classify", """echo '{"risk": 1}'""")
    ws.run("run", "demo:low:classify", "--force", code=0)
    assert ws.starts()[3:] == ["classify low"]
    ws.run("run", "demo", code=0)
    assert ws.starts()[3:] == ["classify low"]
    assert "docs done" in ws.run("explain", "demo:low").stdout


def test_an_answer_that_does_not_fit_is_asked_for_again(workspace: MakeWorkspace) -> None:
    ws = house(workspace, ["implement", CLASSIFY, "check", "publish"])
    place = "$ORCHESTR_OUTPUT_FILE"  # a folder in its way once, an answer then
    does(ws, "classify", f"""rmdir "{place}" || mkdir "{place}"; echo '{{"risk": "high"}}'""")
    said = ws.run("run", "demo", code=1)
    assert ws.starts() == ["work low", "classify low", "classify low"]
    assert "the answer does not fit its schema: `risk` must be integer" in said.stdout + said.stderr
    assert "`risk` must be integer" in (ws.agents / "classify.seen").read_text()
    does(ws, "classify", """echo '{"risk": 3}'""")
    ws.run("run", "demo", code=0)
    assert ws.starts()[3:] == ["classify low"]


def test_what_is_outside_of_its_paths_goes_back(workspace: MakeWorkspace) -> None:
    ws = house(workspace, ["implement", DOCS, "check", "publish"])
    does(ws, "docs", "echo x > elsewhere.txt")
    said = ws.run("run", "demo", code=1)
    assert "changed outside owned_paths of phase `docs`: elsewhere.txt" in said.stdout + said.stderr
    assert ws.starts() == ["work low", "docs low", "docs low"]
    place = ws.root / ".orchestr/worktrees/demo/low"
    assert not (place / "elsewhere.txt").exists()
    assert git(place, "status", "--porcelain") == ""
    does(ws, "docs", "rm -f elsewhere.txt; mkdir -p docs; echo y > docs/page.md")
    ws.run("run", "demo", code=0)
    assert shown(ws, "docs/page.md") == "y"


def test_a_repair_is_followed_by_the_phases_after_the_work(workspace: MakeWorkspace) -> None:
    """Red after a phase of one's own: the author repairs, and what was made of its work is made
    again before the checks."""
    checks = [{"kind": "command", "run": ["grep", "-q", "made:two", "docs/page.md"]}]
    ws = house(
        workspace,
        ["implement", GENERATE, DOCS, "check", "publish"],
        checks=checks,
        repair={"checks": 2},
    )
    does(
        ws,
        "work",
        'if [ -n "$ORCHESTR_ROUND" ]; then echo two > work.txt; else echo one > work.txt; fi',
    )
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["work low", "docs low", "work low", "docs low"]
    assert shown(ws, "docs/page.md") == "made:two"
    nothing_to_do(ws)


def test_repairs_are_counted_across_what_follows_them(workspace: MakeWorkspace) -> None:
    checks = [{"kind": "command", "run": ["grep", "-q", "never", "docs/page.md"]}]
    ws = house(
        workspace,
        ["implement", GENERATE, DOCS, "check", "publish"],
        checks=checks,
        repair={"checks": 1},
    )
    does(ws, "work", 'echo "$ORCHESTR_ROUND" > work.txt; date +%N >> work.txt')
    said = ws.run("run", "demo", code=1)
    assert "1 of 1 repairs made" in said.stdout + said.stderr
    assert ws.starts().count("work low") == 2


def test_a_plan_without_a_gate(workspace: MakeWorkspace) -> None:
    phases = [CLASSIFY, "plan", "implement", "check", "publish"]
    ws = house(workspace, phases)
    does(ws, "work", 'if [ -n "$ORCHESTR_PLAN_FILE" ]; then echo "- write it"; '
                     "else echo one > work.txt; fi")  # fmt: skip
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["classify low", "work low", "work low"]
    seen = (ws.agents / "work.seen").read_text()
    assert "> - write it" in seen and "This plan was made before you began." in seen
    assert '"risk": 3' in seen
    nothing_to_do(ws)

    (ws.root / ".orchestr/cells/demo/low/plan.md").write_text("- write more\n")
    does(ws, "work", "echo more >> work.txt")
    ws.run("run", "demo", code=0)
    assert ws.starts()[3:] == ["work low"]


def test_a_phase_of_the_settings(workspace: MakeWorkspace) -> None:
    ws = house(workspace, ["implement", "generate", "docs", "check", "publish"])
    ws.settings(
        phases={"generate": {"run": GENERATE["run"]}, "docs": {"prompt": "prompts/docs.md"}}
    )
    ws.run("run", "demo", code=0)
    assert shown(ws, "docs/page.md") == "made:one"
    ws.settings(phases={"generate": {"run": ["sh", "-c", "echo new > made.txt"]},
                        "docs": {"prompt": "prompts/docs.md"}})  # fmt: skip
    why = json.loads(ws.run("plan", "demo", "--json").stdout)["cells"][0]
    assert why["phases"] == ["generate", "docs", "check", "review", "publish"]
    ws.run("run", "demo", code=0)
    assert shown(ws, "docs/page.md") == "new"
    assert ws.starts() == ["work low", "docs low", "docs low"]


def test_a_phase_can_be_run_forgotten_and_completed_by_name(workspace: MakeWorkspace) -> None:
    ws = house(workspace, ["implement", GENERATE, DOCS, "check", "publish"])
    ws.run("run", "demo:low:docs", code=0)
    assert ws.starts() == ["work low", "docs low"]
    assert ws.prs() == {}
    ws.run("run", "demo", code=0)
    ws.run("forget", "demo:low:docs", code=0)
    assert ws.status()["low"]["phases"]["docs"] == "pending"
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["work low", "docs low", "docs low"]
    listed = ws.run("list", "--all", "demo").stdout
    assert "demo:low:generate" in listed
    words = ws.run("completion", "--words", "--", "forget", "demo:low:d").stdout
    assert words.split() == ["demo:low:docs"]
    assert "there is no phase 'docz'" in ws.run("run", "demo:low:docz", code=2).stderr


CLAUDE = """\
#!/bin/sh
case " $* " in *" --version "*) echo "2.0.0 (Claude Code)"; exit ;; esac
echo "${ORCHESTR_PHASE:-work}: $*" >> "$LOGGED"
cat > /dev/null
echo "${ORCHESTR_PHASE:-work}" > "${ORCHESTR_PHASE:-work}.txt"
echo '{"type":"system","subtype":"init","session_id":"11111111-2222-3333-4444-555555555555"}'
echo '{"type":"result","subtype":"success","is_error":false,"result":"done",' \\
     '"session_id":"11111111-2222-3333-4444-555555555555","total_cost_usd":0.5}'
"""


def test_the_authors_session_goes_on(workspace: MakeWorkspace) -> None:
    docs = {"name": "docs", "prompt": "prompts/docs.md", "continues": "implement"}
    ws = house(workspace, ["implement", docs, "check", "publish"], agent="c")
    program = ws.root / "claude"
    program.write_text(CLAUDE)
    program.chmod(0o755)
    ws.settings(agents={"c": {"kind": "claude", "program": str(program), "paid": False,
                              "env": {"LOGGED": str(ws.log)}}})  # fmt: skip
    ws.run("run", "demo", "--yes", code=0)
    first, second = ws.starts()
    assert first.startswith("work:") and "--resume" not in first
    assert second.startswith("docs:")
    assert "--resume 11111111-2222-3333-4444-555555555555" in second
    assert shown(ws, "docs.txt") == "docs"


def test_a_reviews_repair_is_followed_too(workspace: MakeWorkspace) -> None:
    """The page that reviewers read is made of the work as it is after the repair."""
    phases = ["implement", GENERATE, "check", "review", "publish"]
    checks = [{"kind": "command", "run": ["grep", "-q", "made", "made.txt"]}]
    ws = house(workspace, phases, reviewers=[{"agent": "r"}], checks=checks)
    blocker = {"title": "wrong", "description": "it says one", "severity": "blocker",
               "places": [{"path": "made.txt", "line": 1}], "evidence": "made:one"}  # fmt: skip
    (ws.root / "review.sh").write_text(
        'echo review >> "$AGENT_LOG"\n'
        f"if grep -q two made.txt; then echo '{json.dumps({'summary': 'good', 'issues': []})}'\n"
        f"else echo '{json.dumps({'summary': 'bad', 'issues': [blocker]})}'; fi\n"
    )
    ws.settings(agents={"r": {"kind": "command", "run": ["sh", "review.sh"],
                              "env": {"AGENT_LOG": str(ws.log)}}})  # fmt: skip
    does(ws, "work", 'if [ -n "$ORCHESTR_ROUND" ]; then echo two > work.txt; '
                     "else echo one > work.txt; fi")  # fmt: skip
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["work low", "review", "work low", "review"]
    assert shown(ws, "made.txt") == "made:two"
    nothing_to_do(ws)


def test_what_phases_made_lands(workspace: MakeWorkspace) -> None:
    """The target moves: the merged result goes through the phases after the work again."""
    ws = house(workspace, ["implement", GENERATE, "check", "publish"])
    ws.run("run", "demo", code=0)
    said = ws.run("land", "demo", "--yes", code=0)
    assert "landed" in said.stdout + said.stderr
    assert git(ws.repos / "app.git", "show", "main:made.txt") == "made:one"
    nothing_to_do(ws)


def test_what_stands_before_a_phase_is_not_made_again_with_it(workspace: MakeWorkspace) -> None:
    """The last phase is made again, forgotten, and leaves the spec: those before it are valid."""
    docs = {**DOCS, "needs": ["classify"]}
    ws = house(workspace, ["implement", GENERATE, CLASSIFY, docs, "check", "publish"])
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["work low", "classify low", "docs low"]

    def runs(*names: str) -> None:
        before = len(ws.starts())
        ws.run("run", "demo", code=0)
        assert ws.starts()[before:] == [f"{name} low" for name in names]
        nothing_to_do(ws)

    (ws.root / "prompts" / "docs.md").write_text("Write the docs, please.\n")
    assert "please" in ws.run("accept", "demo:low", "--yes", code=0).stdout
    runs()
    (ws.root / "prompts" / "docs.md").write_text("Write the same in other words.\n")
    runs("docs")  # it changes nothing
    does(ws, "docs", "echo more >> docs/page.md")
    (ws.root / "prompts" / "docs.md").write_text("Write more.\n")
    runs("docs")
    ws.run("forget", "demo:low:classify", code=0)
    runs("classify")
    ws.run("forget", "demo:low:docs", code=0)
    ws.spec({"low": {"phases": ["implement", GENERATE, CLASSIFY, "check", "publish"]}})
    runs()
    assert "one\nmore" in shown(ws, "docs/page.md")


def test_a_stub_plays_them_and_what_names_agents_leaves_their_commands_out(
    workspace: MakeWorkspace,
) -> None:
    free = {"name": "think", "prompt": "prompts/classify.md", "output": "any.json"}
    phases = ["implement", GENERATE, free, DOCS, "check", "review", "publish"]
    paths = ["*.txt", "docs/**"]
    ws = house(workspace, phases, owned_paths=paths, reviewers=[{"agent": "sh"}])
    make = ["sh", "-c", "cat *.txt > made.txt"]
    ws.spec({"low": {"phases": [{**p, "run": make} if p is GENERATE else p for p in phases],
                     "owned_paths": paths, "reviewers": [{"agent": "sh"}]}})  # fmt: skip
    said = ws.run("run", "demo", "--stub", "--json", code=0)
    assert "[agents.NAME] in orchestr.toml" in said.stderr, "a command judges nothing"
    assert "phase:generate" not in said.stderr
    exits = [line for line in said.stdout.splitlines() if '"attempt.exited"' in line]
    (command,) = [json.loads(line) for line in exits if '"generate"' in line]
    assert command["data"]["cost_usd"] == 0.0, "it costs what a check costs"
    ws.settings(agents={"deep": {"kind": "command", "run": ["true"], "model": "large"}})
    ws.spec({"low": {"phases": ["implement", {**DOCS, "agent": "deep"}, "check", "publish"]}})
    assert "deep  command, version unknown, model large" in (
        ws.run("doctor", "--lock-agents").stdout
    )


def test_a_prompt_that_cannot_be_read_is_found_before_anyone_is_paid(
    workspace: MakeWorkspace,
) -> None:
    ws = house(workspace, ["implement", DOCS, "check", "publish"])
    prompt = ws.root / "prompts" / "docs.md"
    prompt.write_text("Write {% for\n")
    for verb in ("validate", "run"):
        said = both(ws.run(verb, *(["demo"] if verb == "run" else []), code=2))
        assert "prompts/docs.md:1: " in said
        assert "unexpected 'end of template'" in said
    prompt.unlink()
    assert "prompts/docs.md is not in the workspace" in both(ws.run("run", "demo", code=2))
    said = ws.run("validate", code=2).stdout
    assert "specs/demo.yaml:" in said
    assert "prompts/docs.md is not in the workspace, and phase `docs` needs it" in said
    assert ws.starts() == []


def test_the_budget_of_a_phase_ends_its_agent(workspace: MakeWorkspace) -> None:
    """Half a dollar is spent by either; the author may, and the docs may not."""
    docs = {"name": "docs", "prompt": "prompts/docs.md", "budget_usd": 0.4}
    phases = ["implement", docs, "check", "publish"]
    ws = house(workspace, phases, agent="c")
    program = ws.root / "claude"
    program.write_text(CLAUDE + '[ "$ORCHESTR_PHASE" != docs ] || exec sleep 600\n')
    program.chmod(0o755)
    ws.settings(agents={"c": {"kind": "claude", "program": str(program), "paid": False,
                              "env": {"LOGGED": str(ws.log)}}})  # fmt: skip
    said = both(ws.run("run", "demo", "--yes", code=1))
    assert "the budget of phase `docs` is reached: $0.50 of $0.40" in said
    assert "raise `budget_usd` of phase `docs`, then: orchestr run demo:low" in said
    program.write_text(CLAUDE)
    docs["budget_usd"] = 0.6
    ws.spec({"low": {"phases": phases, "agent": "c"}})
    ws.run("run", "demo", "--yes", code=0)
    assert [line.split(":")[0] for line in ws.starts()] == ["work", "docs", "docs"]


def test_why_the_work_is_done_again_names_the_output(workspace: MakeWorkspace) -> None:
    ws = house(workspace, [CLASSIFY, "implement", "check", "publish"])
    ws.run("run", "demo", code=0)
    does(ws, "classify", """echo '{"risk": 4}'""")
    ws.run("run", "demo:low:classify", "--force", code=0)
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["classify low", "work low", "classify low", "work low"]
    assert "result of classify" in ws.run("explain", "demo:low").stdout
