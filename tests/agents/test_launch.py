"""What the adapters hand to the supervisor: command lines, environments, permissions."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from orchestr.agents.base import AgentRequest, ToolPermissions
from orchestr.agents.permissions import DENIED, UNIVERSAL, commands_for, tools_for
from tests.agents.kit import KINDS, adapter

OURS = {
    "claude": {"ANTHROPIC_API_KEY": "a", "CLAUDE_CODE_MAX_RETRIES": "2"},
    "codex": {"OPENAI_API_KEY": "o", "CODEX_HOME": "/c"},
    "gemini": {"GEMINI_API_KEY": "g", "GOOGLE_CLOUD_PROJECT": "p"},
    "opencode": {"OPENCODE_API_KEY": "z"},
    "command": {},
}
NOBODYS = {
    "GH_TOKEN": "t", "GITHUB_TOKEN": "t", "SSH_AUTH_SOCK": "/s", "AWS_SECRET_ACCESS_KEY": "w",
    "CLAUDE_CODE_ENTRYPOINT": "cli", "CLAUDECODE": "1", "NPM_TOKEN": "n",
}  # fmt: skip


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentRequest:
    """A request, with everybody's variables in our environment."""
    for values in (*OURS.values(), NOBODYS):
        for name, value in values.items():
            monkeypatch.setenv(name, value)
    folder, worktree, up = tmp_path / "attempt", tmp_path / "tree", tmp_path / "up"
    for path in (folder, worktree, up):
        path.mkdir()
    prompt = folder / "prompt.md"
    prompt.write_text("do it")
    tools = ToolPermissions(("git", "make"), ("git push",), (up,))
    return AgentRequest(worktree, prompt, {"ORCHESTR_CELL": "a"}, folder=folder, tools=tools)


@pytest.mark.parametrize("kind", [*KINDS, "command"])
def test_an_agent_sees_its_own_key_and_nobody_elses(request_: AgentRequest, kind: str) -> None:
    env = adapter(kind).prepare_launch(request_).env
    others = {k for name, values in OURS.items() if name != kind for k in values}
    assert OURS[kind].items() <= dict(env).items()
    assert not set(env) & (others | set(NOBODYS))
    assert env["ORCHESTR_CELL"] == "a"
    assert env["HOME"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_settings_go_over_ours(request_: AgentRequest, kind: str) -> None:
    agent = adapter(
        kind,
        env={"LANG": "xx", "CI": "0"},
        pass_env=("NPM_TOKEN",),
        program="bin/it",
        args=("--more", "x"),
    )
    launch = agent.prepare_launch(request_)
    assert (launch.env["LANG"], launch.env["CI"], launch.env["NPM_TOKEN"]) == ("xx", "0", "n")
    assert launch.argv[0] == "/ws/bin/it"
    assert " --more x" in " ".join(launch.argv)
    assert adapter(kind, program="/opt/it").prepare_launch(request_).argv[0] == "/opt/it"


@pytest.mark.parametrize("kind", KINDS)
def test_the_prompt_is_never_in_the_arguments(request_: AgentRequest, kind: str) -> None:
    launch = adapter(kind).prepare_launch(replace(request_, model="m-1"))
    assert launch.stdin == request_.prompt
    assert launch.format == "json"
    assert not any("do it" in word for word in launch.argv)
    assert "m-1" in launch.argv
    assert list(request_.worktree.iterdir()) == []


def test_claude(request_: AgentRequest) -> None:
    launch = adapter("claude").prepare_launch(replace(request_, session="s-1", budget_usd=2.5))
    folder = request_.folder
    assert launch.argv == (
        "claude", "-p", "--output-format", "stream-json", "--verbose",
        "--permission-mode", "acceptEdits", "--setting-sources", "user", "--strict-mcp-config",
        "--settings", f"{folder}/claude.json", "--max-budget-usd", "2.5000", "--resume", "s-1",
    )  # fmt: skip
    permissions = json.loads((folder or Path()).joinpath("claude.json").read_text())["permissions"]
    assert permissions["allow"] == [
        "Bash(git:*)", "Bash(make:*)", f"Read(/{request_.tools.read[0]}/**)",
    ]  # fmt: skip
    assert "Bash(git push:*)" in permissions["deny"]
    assert launch.env["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
    assert launch.env["DISABLE_AUTOUPDATER"] == "1"


def test_codex(request_: AgentRequest) -> None:
    launch = adapter("codex", args=("--add-dir", "/cache")).prepare_launch(request_)
    assert launch.argv[:6] == (
        "codex", "exec", "--json", "--skip-git-repo-check", "--sandbox", "workspace-write",
    )  # fmt: skip
    assert launch.argv[-3:] == ("--add-dir", "/cache", "-")
    assert 'approval_policy="never"' in launch.argv
    open_ = adapter("codex", sandbox="danger-full-access", pass_env=("MY_KEY",))
    argv = open_.prepare_launch(replace(request_, session="s-1")).argv
    assert argv[5] == "danger-full-access"
    assert argv[-3:] == ("resume", "s-1", "-")
    hidden = next(word for word in argv if word.startswith("shell_environment_policy"))
    assert hidden.endswith('["CODEX_API_KEY", "MY_KEY", "OPENAI_API_KEY"]')


def test_gemini(request_: AgentRequest) -> None:
    launch = adapter("gemini").prepare_launch(replace(request_, session="s-1"))
    folder = request_.folder
    assert launch.argv == (
        "gemini", "--approval-mode", "auto_edit", "--skip-trust", "-o", "stream-json",
        "--policy", f"{folder}/gemini.toml", "--resume", "s-1",
    )  # fmt: skip
    rules = tomllib.loads((folder or Path()).joinpath("gemini.toml").read_text())["rule"]
    assert [(r["decision"], r["commandPrefix"]) for r in rules] == [
        ("allow", ["git", "make"]),
        ("deny", ["git push"]),
    ]
    assert rules[0]["priority"] < rules[1]["priority"]


def test_opencode(request_: AgentRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    login = tmp_path / "data" / "opencode" / "auth.json"
    login.parent.mkdir(parents=True)
    login.write_text("{}")
    for _ in range(2):  # a second start finds the folders made
        launch = adapter("opencode").prepare_launch(replace(request_, session="s-1"))
    assert launch.argv == ("opencode", "run", "--format", "json", "--session", "s-1")
    config = json.loads(launch.env["OPENCODE_CONFIG_CONTENT"])
    shell = config["permission"]["bash"]
    assert next(iter(shell)) == "*"  # of several that match, the last one counts
    assert (shell["*"], shell["make *"], shell["git push *"]) == ("deny", "allow", "deny")
    assert list(shell).index("git *") < list(shell).index("git push *")
    assert launch.env["OPENCODE_DISABLE_PROJECT_CONFIG"] == "1"
    own = Path(launch.env["XDG_DATA_HOME"]) / "opencode" / "auth.json"
    assert own.resolve() == login
    assert request_.folder in own.parents


@pytest.mark.parametrize("kind", KINDS)
def test_usable_names_what_is_missing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert adapter(kind, tmp_path).explain_unusable() == f"program {kind!r} is not on PATH"
    program = tmp_path / kind
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    assert adapter(kind, tmp_path).explain_unusable() == f"`{kind} --version` fails"
    program.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/asked\necho '{kind}-cli 1.2.3 (x)'\n")
    assert adapter(kind, tmp_path).explain_unusable() is None
    assert adapter(kind, tmp_path).program_version() == "1.2.3"
    assert (tmp_path / "asked").read_text() == "asked\n"  # kept for the next command
    program.write_text("#!/bin/sh\necho 1.3.0-beta\n")
    assert adapter(kind, tmp_path).program_version() == "1.3.0-beta"


def test_paid_unless_the_settings_say_otherwise() -> None:
    assert all(adapter(kind).paid for kind in KINDS)
    assert not any(adapter(kind, paid=False).paid for kind in KINDS)
    assert not adapter("command").paid


@pytest.mark.parametrize(
    ("files", "commands"),
    [
        ((), set()),
        (("go.mod", "Makefile", "buf.yaml"), {"go", "golangci-lint", "make", "buf"}),
        (("pom.xml",), {"mvn", "./mvnw"}),
        (("package.json",), {"npm", "pnpm", "node"}),
        (("Cargo.toml",), {"cargo"}),
        (("pyproject.toml",), {"python3", "pytest", "uv"}),
    ],
)
def test_commands_by_kind_of_repository(
    tmp_path: Path, files: tuple[str, ...], commands: set[str]
) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert commands <= set(commands_for(tmp_path))
    assert bool(commands) == bool(commands_for(tmp_path))
    tools = tools_for(tmp_path)
    assert {*UNIVERSAL, *commands} <= set(tools.allowed)
    assert tools.denied == DENIED


def test_named_tools_replace_the_kinds(tmp_path: Path) -> None:
    (tmp_path / "package.json").touch()
    tools = tools_for(tmp_path, ("make",), (tmp_path,))
    assert tools.allowed == (*UNIVERSAL, "make")
    assert tools.read == (tmp_path,)


def test_what_nobody_needs_is_denied() -> None:
    wanted = {"git push", "git commit --no-verify", "gh pr merge", "gh release", "npm publish",
              "cargo publish", "twine upload", "docker push", "terraform apply",
              "kubectl apply"}  # fmt: skip
    assert wanted <= set(DENIED)
    assert not {command.split()[0] for command in DENIED} & {"gh"} & set(UNIVERSAL)


SETTINGS_OF = {
    "claude": (".claude/settings.json", "CLAUDE.md"),
    "codex": (".codex/config.toml", "AGENTS.md"),
    "gemini": (".gemini/settings.json", "GEMINI.md"),
    "opencode": ("opencode.json", "AGENTS.md"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_repositorys_settings_are_off_unless_it_is_trusted(
    request_: AgentRequest, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    name, guide = SETTINGS_OF[kind]
    path = request_.worktree / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    doubted = replace(request_, changed_guides=(guide, "sub/OTHER.md"))
    off = adapter(kind).prepare_launch(doubted)
    on = adapter(kind).prepare_launch(replace(doubted, trust=True))
    assert [i.partition(" ")[0].partition("/")[0] for i in off.ignored] == [
        name.partition("/")[0], guide,
    ]  # fmt: skip
    assert on.ignored == ()
    assert (off.argv, off.env) != (on.argv, on.env)
    folder = request_.folder or Path()
    match kind:
        case "claude":
            assert "user,project" in on.argv and "--strict-mcp-config" not in on.argv
        case "codex":
            (levels,) = (w for w in off.argv if w.startswith("projects="))
            projects = tomllib.loads(levels)["projects"]
            assert projects == {str(request_.worktree.resolve()): {"trust_level": "untrusted"}}
            assert "project_doc_max_bytes=0" in off.argv
            assert "project_doc_max_bytes=0" not in on.argv
        case "gemini":
            over = json.loads((folder / "gemini-over.json").read_text())
            assert off.env["GEMINI_CLI_SYSTEM_SETTINGS_PATH"] == str(folder / "gemini-over.json")
            assert over["mcp"]["allowed"] == over["context"]["fileName"]
            assert "GEMINI_CLI_SYSTEM_SETTINGS_PATH" not in on.env
        case _:
            assert "OPENCODE_DISABLE_PROJECT_CONFIG" not in on.env


def test_gemini_keeps_the_users_own_servers(
    request_: AgentRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GEMINI_CLI_HOME", raising=False)
    (tmp_path / ".gemini").mkdir()
    mine = {"mine": {"command": "mine"}}
    (tmp_path / ".gemini" / "settings.json").write_text(json.dumps({"mcpServers": mine}))
    (request_.worktree / ".gemini").mkdir()
    (request_.worktree / ".gemini" / "settings.json").write_text("{}")
    adapter("gemini").prepare_launch(request_)
    over = json.loads(((request_.folder or Path()) / "gemini-over.json").read_text())
    assert (over["mcp"]["allowed"], over["mcpServers"]) == (["mine"], mine)


def test_codex_does_not_take_trust_from_the_clone(request_: AgentRequest, tmp_path: Path) -> None:
    (request_.worktree / ".git").write_text(f"gitdir: {tmp_path}/clone/.git/worktrees/w\n")
    argv = adapter("codex").prepare_launch(request_).argv
    (levels,) = (w for w in argv if w.startswith("projects="))
    assert set(tomllib.loads(levels)["projects"]) == {
        str(request_.worktree.resolve()), str((tmp_path / "clone").resolve()),
    }  # fmt: skip
