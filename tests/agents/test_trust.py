"""`[repos.X] trust` with a list: parts of a repository's settings, each for itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestr.agents.base import AgentRequest
from orchestr.agents.repo_parts import copy_part, read_header, read_json_table, read_sub_agents
from orchestr.run.check_trust import find_refused_parts
from orchestr.settings.trust_words import EVERYTHING, TRUST_WORDS, trusts
from tests.agents.kit import KINDS, adapter
from tests.e2e.conftest import MakeWorkspace, workspace
from tests.e2e.workspace import both

__all__ = ["workspace"]

SKILL = (
    "---\nname: deploy\ndescription: how we deploy\nallowed-tools: Bash(*)\n"
    "hooks:\n  Stop: [{command: evil}]\n---\nBody.\n"
)
HOOKS = {"Stop": [{"hooks": [{"type": "command", "command": "evil"}]}]}
FILES = {
    ".claude/skills/deploy/SKILL.md": SKILL,
    ".claude/skills/deploy/run.sh": "#!/bin/sh\n",
    ".claude/agents/critic.md": "---\ndescription: it reads\nmcpServers: [x]\n---\nBe strict.\n",
    ".claude/rules/style.md": "Short names.\n",
    ".claude/settings.json": json.dumps({"hooks": HOOKS, "env": {"ANTHROPIC_BASE_URL": "x"}}),
    ".mcp.json": json.dumps({"mcpServers": {"evil": {"command": "evil"}}}),
    ".agents/skills/deploy/SKILL.md": SKILL,
    ".gemini/settings.json": json.dumps({"hooks": HOOKS, "mcpServers": {"evil": {"command": "e"}}}),
    ".opencode/agents/critic.md": "---\ndescription: it reads\nx: {y: true}\n---\nBe strict.\n",
}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentRequest:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GEMINI_CLI_HOME", raising=False)
    for name, text in FILES.items():
        path = tmp_path / "w" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "a").mkdir()
    (tmp_path / "p.md").write_text("do it")
    return AgentRequest(tmp_path / "w", tmp_path / "p.md", {}, folder=tmp_path / "a")


def start(kind: str, asked: AgentRequest, *parts: str) -> tuple[str, dict[str, str]]:
    launch = adapter(kind).prepare_launch(replace(asked, trusted=parts))
    return " ".join(launch.argv), dict(launch.env)


def test_claude_gets_skills_and_sub_agents_without_what_starts_programs(
    asked: AgentRequest,
) -> None:
    plugin = (asked.folder or Path()) / "repository-parts"
    argv, _ = start("claude", asked, "skills", "agents", "rules")
    assert f"--plugin-dir {plugin}" in argv
    assert "--setting-sources user --strict-mcp-config" in argv
    assert ".claude/rules/style.md" in argv
    skill = (plugin / "skills/deploy/SKILL.md").read_text()
    fields, body = read_header(skill)
    assert (fields, body) == ({"name": "deploy", "description": "how we deploy"}, "Body.\n")
    assert (plugin / "skills/deploy/run.sh").exists()
    assert "mcpServers" not in (plugin / "agents/critic.md").read_text()
    given = json.loads((plugin.parent / "claude.json").read_text())
    assert given["disableSkillShellExecution"] is True
    assert "hooks" not in given
    argv, _ = start("claude", asked)  # made anew: nothing is left of it
    assert "--plugin-dir" not in argv
    assert not plugin.exists()


def test_claude_gets_hooks_and_servers_and_no_other_setting(asked: AgentRequest) -> None:
    argv, _ = start("claude", asked, "hooks", "mcp")
    assert f"--mcp-config {asked.worktree}/.mcp.json" in argv
    given = json.loads(((asked.folder or Path()) / "claude.json").read_text())
    assert given["hooks"] == HOOKS
    assert "mcp__evil" in given["permissions"]["allow"]
    assert "env" not in given


def test_skills_that_an_agent_lists_untrusted_are_off(asked: AgentRequest) -> None:
    off = "skills.include_instructions=false"
    assert off in start("codex", asked)[0]
    assert off not in start("codex", asked, "skills")[0]
    over = (asked.folder or Path()) / "gemini-over.json"
    assert start("gemini", asked)[1]["GEMINI_CLI_TRUST_WORKSPACE"] == "false"
    assert json.loads(over.read_text())["skills"] == {"enabled": False}
    start("gemini", asked, "skills")
    assert "skills" not in json.loads(over.read_text())
    assert start("opencode", asked)[1]["OPENCODE_DISABLE_EXTERNAL_SKILLS"] == "1"
    config = json.loads(start("opencode", asked, "skills", "agents")[1]["OPENCODE_CONFIG_CONTENT"])
    assert config["skills"]["paths"][-1] == str(asked.worktree / ".agents/skills")
    critic = {"description": "it reads", "prompt": "Be strict.", "mode": "subagent"}
    assert config["agent"] == {"critic": critic}


def test_gemini_gets_hooks_and_servers_by_its_own_settings(asked: AgentRequest) -> None:
    start("gemini", asked, "hooks", "mcp")
    folder = asked.folder or Path()
    given = json.loads((folder / "gemini-settings.json").read_text())
    assert given["hooks"] == HOOKS
    assert given["mcpServers"] == {"evil": {"command": "e"}}
    start("gemini", asked)
    given = json.loads((folder / "gemini-settings.json").read_text())
    assert (given.get("hooks"), given["mcpServers"]) == (None, {})


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_obeyed_is_listed(asked: AgentRequest, kind: str) -> None:
    agent = adapter(kind)
    assert hasattr(agent, "sort_settings")
    known = {name for name in FILES if (asked.worktree / name).is_file()}
    obeyed, ignored = agent.sort_settings(asked.worktree, ())
    assert known and not obeyed and ignored
    assert agent.sort_settings(asked.worktree, (EVERYTHING,)) == (ignored, ())
    some, rest = agent.sort_settings(asked.worktree, ("skills",))
    assert some and all("skills" in name for name in some)
    assert not any(name.endswith("/skills") for name in rest)
    if kind == "codex":
        assert rest == ()  # FILES has no `.codex`
    if kind == "opencode":
        assert rest == (".opencode (all but its skills)",)


def test_nothing_comes_from_behind_a_link(asked: AgentRequest, tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "away/SKILL.md").write_text(SKILL)
    (tmp_path / "away.json").write_text(json.dumps({"hooks": HOOKS}))
    root = asked.worktree
    (root / "linked").symlink_to(tmp_path / "away")
    (root / ".claude/skills/deploy/secret").symlink_to(tmp_path / "away/SKILL.md")
    (root / "linked.json").symlink_to(tmp_path / "away.json")
    copy_part(root, "linked", tmp_path / "t1")
    copy_part(root, ".claude/skills", tmp_path / "t2")
    assert not (tmp_path / "t1").exists()
    assert sorted(p.name for p in (tmp_path / "t2/deploy").iterdir()) == ["SKILL.md", "run.sh"]
    assert read_json_table(root, "linked.json", "hooks") == {}
    assert read_sub_agents(root, ["linked"]) == {}


def test_words() -> None:
    assert trusts((EVERYTHING,), "hooks") and trusts(("hooks",), "hooks")
    assert not trusts(("skills",), "hooks")
    assert find_refused_parts("claude", TRUST_WORDS)[0] == ()
    assert find_refused_parts("codex", ("skills", "agents", "mcp"))[0] == ("agents", "mcp")
    assert find_refused_parts("command", ("hooks",)) == ((), ())


def test_what_an_agent_cannot_is_refused_with_its_line(workspace: MakeWorkspace) -> None:
    ws = workspace()
    path = ws.repos / "app/.claude/skills/deploy/SKILL.md"
    path.parent.mkdir(parents=True)
    path.write_text(SKILL)
    ws.settings(agents={"cx": {"kind": "codex", "program": "true", "paid": False},
                        "cl": {"kind": "claude", "program": "true", "paid": False}},
                repos={"app": {"trust": ["skills", "hooks"]}})  # fmt: skip
    ws.spec({"a": {"agent": "cx"}, "b": {"agent": "cl"}})
    said = both(ws.run("plan", "demo"))
    lines = (ws.root / "orchestr.toml").read_text().splitlines()
    (line,) = (number for number, text in enumerate(lines, 1) if text.startswith("trust"))
    assert f"orchestr.toml:{line}: repos.app.trust: agent cx (kind `codex`) cannot" in said
    assert "`hooks` of a repository alone" in said
    assert "repository app: agent cl obeys .claude/skills" in said
    assert "repository app: agent cl obeys .claude/skills" in ws.run("doctor").stdout
    ws.settings(repos={"app": {"trust": ["skill"]}})
    assert "there is nothing to trust called" in both(ws.run("plan", "demo", code=2))
