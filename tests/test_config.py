"""Settings: what a workspace gets, what goes over what, and every mistake with its line."""

from dataclasses import dataclass, fields
from pathlib import Path
from textwrap import dedent
from typing import Annotated

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestr.errors import SpecError, UsageError
from orchestr.settings import keys
from orchestr.settings.landing_records import LandingSettings
from orchestr.settings.limit_records import LimitSettings, SandboxSettings
from orchestr.settings.loader import find_workspace, load_settings
from orchestr.settings.machine_records import (
    CheckSettings,
    McpServer,
    PortSettings,
)
from orchestr.settings.records import (
    AgentSettings,
    DraftSettings,
    FollowSettings,
    ForgeSettings,
    NotifySettings,
    RepoSettings,
    Settings,
    WorkspaceSettings,
)
from orchestr.settings.sections import KEYS as KEYS_OF_SECTIONS
from orchestr.settings.sections import list_keys
from orchestr.spec.declare import Doc
from orchestr.spec.field_types import BadValue
from orchestr.spec.own_phases import FIELDS

AGENT = '[agents.scripted]\nkind = "command"\nrun = ["true"]\n'


def load(root: Path, text: str, **environ: str) -> Settings:
    (root / "orchestr.toml").write_text(dedent(text))
    return load_settings(root, environ)


def problems(root: Path, text: str, **environ: str) -> str:
    with pytest.raises(SpecError) as caught:
        load(root, text, **environ)
    return "".join(f"{problem}\n" for problem in caught.value.problems)


def test_an_empty_file_gives_the_built_in_values(tmp_path: Path) -> None:
    assert load(tmp_path, "") == Settings(
        workspace=WorkspaceSettings(
            root=tmp_path,
            specs=tmp_path / "specs",
            state=tmp_path / ".orchestr",
            worktrees=tmp_path / ".orchestr" / "worktrees",
            repos=tmp_path.parent,
        ),
        repos={},
        agents={},
        limits=LimitSettings(3, 1800.0, 600.0, 60.0, 10.0, None, 500),
        forge=ForgeSettings("local", True),
        default_agent=None,
    )


def test_every_key_of_the_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """
        [workspace]
        specs = "features"
        state = "~/state"
        worktrees = "<state>/trees"
        repos = "/srv/repos"
        unsigned = true

        [repos.platform]
        path = "../platform"
        create = ["sh", "make.sh"]
        base = "main"
        tools = ["go", "make"]
        setup = ["make deps"]
        teardown = ["make down"]
        link = [".env", "node_modules"]
        copy = ["config/local.json"]

        [repos.sdk]
        url = "https://example.org/sdk.git"

        [agents]
        default = "scripted"
        [agents.scripted]
        kind = "command"
        run = ["python3", "tools/agent.py"]
        model = "small"
        args = ["--fast"]
        env = {LANG = "C"}
        pass_env = ["MY_KEY"]
        paid = true
        retry_after = "1s"
        retry_max = 60
        sign = "off"
        [agents.other]
        kind = "codex"
        program = "bin/codex"
        sandbox = "danger-full-access"
        price_input_usd = 3
        price_output_usd = 15.0
        price_cached_usd = 0.3

        [limits]
        jobs = 5
        timeout = "1h"
        idle_timeout = 300
        after_result = "5s"
        grace = "500ms"
        budget_usd = 20
        budget_tokens = 5_000_000
        attempt_usd = 2.5
        attempt_tokens = 1000
        min_disk_mb = 0

        [forge]
        kind = "local"
        draft = false
        """,
        HOME="/home/me",
    )

    assert settings == Settings(
        workspace=WorkspaceSettings(
            root=tmp_path,
            specs=tmp_path / "features",
            state=Path("/home/me/state"),
            worktrees=Path("/home/me/state/trees"),
            repos=Path("/srv/repos"),
            unsigned=True,
        ),
        repos={
            "platform": RepoSettings(
                "platform",
                path=tmp_path.parent / "platform",
                create=("sh", "make.sh"),
                base="main",
                tools=("go", "make"),
                setup=("make deps",),
                teardown=("make down",),
                link=(".env", "node_modules"),
                copy=("config/local.json",),
            ),
            "sdk": RepoSettings("sdk", url="https://example.org/sdk.git"),
        },
        agents={
            "scripted": AgentSettings(
                "scripted",
                "command",
                run=("python3", "tools/agent.py"),
                model="small",
                args=("--fast",),
                env={"LANG": "C"},
                pass_env=("MY_KEY",),
                paid=True,
                retry_after=1.0,
                retry_max=60.0,
                sign="off",
            ),
            "other": AgentSettings(
                "other",
                "codex",
                program="bin/codex",
                sandbox="danger-full-access",
                price_input_usd=3.0,
                price_output_usd=15.0,
                price_cached_usd=0.3,
            ),
        },
        limits=LimitSettings(5, 3600.0, 300.0, 5.0, 0.5, 20.0, 0, 5_000_000, 2.5, 1000),
        forge=ForgeSettings("local", False),
        default_agent="scripted",
    )
    assert settings.repo_settings("platform").base == "main"
    assert settings.repo_settings("unknown") == RepoSettings("unknown")


def test_the_only_agent_is_the_default_and_of_two_there_is_none(tmp_path: Path) -> None:
    assert load(tmp_path, AGENT).default_agent == "scripted"
    assert load(tmp_path, AGENT + AGENT.replace("scripted", "b")).default_agent is None


def test_the_environment_goes_over_the_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        AGENT + "[agents.my-agent]\nkind = 'command'\nrun = ['false']\n[limits]\njobs = 2\n"
        "[repos.java-sdk]\nbase = 'main'\n",
        ORCHESTR_SET_LIMITS_JOBS="5",
        ORCHESTR_SET_LIMITS_TIMEOUT="90s",
        ORCHESTR_SET_LIMITS_GRACE="2",
        ORCHESTR_SET_LIMITS_BUDGET_USD="1.5",
        ORCHESTR_SET_FORGE_DRAFT="false",
        ORCHESTR_SET_WORKSPACE_STATE="elsewhere",
        ORCHESTR_SET_AGENTS_DEFAULT="my-agent",
        ORCHESTR_SET_AGENTS_MY_AGENT_MODEL="opus",
        ORCHESTR_SET_AGENTS_SCRIPTED_RUN='["sh", "-c", "true"]',
        ORCHESTR_SET_REPOS_JAVA_SDK_BASE="develop",
    )

    assert settings.limits == LimitSettings(jobs=5, timeout=90.0, grace=2.0, budget_usd=1.5)
    assert settings.forge == ForgeSettings(draft=False)
    assert settings.workspace.state == tmp_path / "elsewhere"
    assert settings.default_agent == "my-agent"
    assert settings.agents["my-agent"].model == "opus"
    assert settings.agents["scripted"].run == ("sh", "-c", "true")
    assert settings.repo_settings("java-sdk").base == "develop"


def test_orchestr_home_goes_over_everything(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[workspace]\nstate = 'a'\n",
        ORCHESTR_SET_WORKSPACE_STATE="b",
        ORCHESTR_HOME="c",
    )

    assert settings.workspace.state == tmp_path / "c"
    assert settings.workspace.worktrees == tmp_path / "c" / "worktrees"


def test_every_mistake_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
        [workspce]
        [workspace]
        spec = "features"
        state = "."
        [repos.platform]
        pth = "../platform"
        url = "x"
        create = "sh make.sh"
        base = "-main"
        link = ["../secret"]
        [repos."../x"]
        [repos.both]
        url = "x"
        create = ["x"]
        [agents]
        default = "scriptd"
        [agents.scripted]
        kind = "command"
        program = "x"
        env = {ORCHESTR_CELL = "x"}
        retry_after = "10m"
        retry_max = "1m"
        [agents.claude]
        kind = "claud"
        [agents.codex]
        kind = "codex"
        run = ["codex"]
        price_input_usd = 3
        sandbox = "none"
        sign = "never"
        [agents.gemini]
        kind = "gemini"
        sandbox = "workspace-write"
        [agents.none]
        [limits]
        jobs = 0
        timout = "30m"
        timeout = "30"
        grace = "soon"
        budget_usd = true
        [forge]
        kind = "local"
        program = "gh"
        draft = "yes"
        """

    assert problems(tmp_path, text) == dedent(
        """\
        orchestr.toml:1:1: error: workspce: unknown section
          hint: did you mean `workspace`?
        orchestr.toml:3:1: error: workspace.spec: unknown setting
          hint: did you mean `specs`?
        orchestr.toml:4:9: error: workspace.state: the state needs a folder of its own, not one \
with other things in it
          hint: the default is .orchestr
        orchestr.toml:6:1: error: repos.platform.pth: unknown setting
          hint: did you mean `path`?
        orchestr.toml:8:10: error: repos.platform.create: must be a list of texts, got a text
          hint: write ["...", "..."]
        orchestr.toml:9:8: error: repos.platform.base: `-main` cannot be a base: it starts with \
`-`, like an option
        orchestr.toml:10:8: error: repos.platform.link: `../secret` is not a path inside the \
repository
          hint: like .env
        orchestr.toml:11:1: error: repos.../x: `../x` is a path, not a repository's name
          hint: write its name; where it lies goes to [repos.NAME] path in orchestr.toml
        orchestr.toml:14:10: error: repos.both.create: a repository is cloned from `url` or made \
by `create`, not both
          hint: remove one of them
        orchestr.toml:16:11: error: agents.default: there is no agent `scriptd`
          hint: did you mean `scripted`?
        orchestr.toml:17:1: error: agents.scripted: `run` is required for kind `command`
          hint: like run = ["python3", "tools/agent.py"]
        orchestr.toml:19:11: error: agents.scripted.program: kind `command` has no `program`
          hint: the program is the first word of `run`
        orchestr.toml:20:7: error: agents.scripted.env: `ORCHESTR_CELL` is set by orchestr itself
          hint: choose another name
        orchestr.toml:22:13: error: agents.scripted.retry_max: is less than `retry_after`
          hint: waiting starts at retry_after and doubles
        orchestr.toml:24:8: error: agents.claude.kind: there is no agent kind `claud`
          hint: did you mean `claude`?
        orchestr.toml:25:1: error: agents.codex: a price table needs `price_input_usd` and \
`price_output_usd`
          hint: dollars per million tokens
        orchestr.toml:27:7: error: agents.codex.run: kind `codex` has no `run`
          hint: its program is `program`, further words are `args`
        orchestr.toml:29:11: error: agents.codex.sandbox: must be `workspace-write` or \
`danger-full-access`, got `none`
          hint: known: danger-full-access, workspace-write
        orchestr.toml:30:8: error: agents.codex.sign: must be `auto` or `off`, got `never`
          hint: known: auto, off
        orchestr.toml:33:11: error: agents.gemini.sandbox: kind `gemini` has no `sandbox`
          hint: only codex has a sandbox of its own
        orchestr.toml:34:1: error: agents.none: `kind` is required and not there
          hint: write kind = "command"
        orchestr.toml:36:8: error: limits.jobs: must be between 1 and 1,000, got 0
        orchestr.toml:37:1: error: limits.timout: unknown setting
          hint: did you mean `timeout`?
        orchestr.toml:39:9: error: limits.grace: `soon` is not a duration
          hint: write it like 90s, 30m, 2h or 500ms, or as whole seconds
        orchestr.toml:40:14: error: limits.budget_usd: must be an amount in dollars, got true/false
          hint: like 20.0
        orchestr.toml:43:11: error: forge.program: kind `local` has no `program`
          hint: it is for kind = "github"
        orchestr.toml:44:9: error: forge.draft: must be true or false, got `yes`
        """
    )


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    said = problems(
        tmp_path,
        AGENT,
        ORCHESTR_SET_LIMIT_JOBS="5",
        ORCHESTR_SET_LIMITS_JOBS="many",
        ORCHESTR_SET_FORGE_KIND="githib",
    )

    assert said == (
        "ORCHESTR_SET_FORGE_KIND: error: forge.kind: there is no forge kind `githib`\n"
        "  hint: did you mean `github`?\n"
        "ORCHESTR_SET_LIMITS_JOBS: error: limits.jobs: must be a whole number, got `many`\n"
        "ORCHESTR_SET_LIMIT_JOBS: error: no such setting\n"
        "  hint: did you mean `ORCHESTR_SET_LIMITS_JOBS`?\n"
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"[limits\n", "orchestr.toml:1:8: error: not TOML: Expected ']' at the end of a table"),
        (b"a = 1\na = 2\n", "orchestr.toml:2:6: error: not TOML: Cannot overwrite a value"),
        (b"a = \xff\n", "orchestr.toml:1:1: error: byte 0xff is not UTF-8"),
        (b"limits = 5\n", "orchestr.toml:1:1: error: limits: must be a table, got a number"),
        (b"agents = 5\n", "orchestr.toml:1:1: error: agents: must be a table of tables"),
        (b"repos.x = 5\n", "orchestr.toml:1:1: error: repos.x: must be a table, got a number"),
        (b"[agents]\nx = 5\n", "orchestr.toml:2:1: error: agents.x: must be a table"),
        (b"[agents.default]\n", "orchestr.toml:1:1: error: agents.default: must be the name"),
        (b"x = " + b"[" * 9999, "orchestr.toml: error: is nested too deeply"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, data: bytes, expected: str) -> None:
    (tmp_path / "orchestr.toml").write_bytes(data)

    with pytest.raises(SpecError) as caught:
        load_settings(tmp_path, {})

    assert str(caught.value).startswith(expected)


def test_the_workspace_is_the_nearest_folder_upwards(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "orchestr.toml").write_text("")

    assert find_workspace(inner) == tmp_path

    (tmp_path / "a" / "orchestr.toml").write_text("")
    assert find_workspace(inner) == tmp_path / "a"


def test_outside_a_workspace_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_workspace(tmp_path)

    assert caught.value.message == (f"no orchestr.toml in {tmp_path} nor in any folder above it")
    with pytest.raises(SpecError, match="No such file"):
        load_settings(tmp_path, {})


VALUES = st.recursive(
    st.booleans() | st.integers(-5, 10**6) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["workspace", "repos", "agents", "limits", "forge", "default", "kind", "run", "jobs", "path",
     "env", "timeout", "state", "link", "x"]
)  # fmt: skip
TABLES = st.dictionaries(
    KEYS, VALUES | st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES))
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(TABLES)
def test_any_toml_gives_settings_or_problems(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, object]
) -> None:
    import tomli_w

    root = (
        tmp_path_factory.getbasetemp() / "any-toml"
    )  # above other tests' folders it would be theirs
    root.mkdir(exist_ok=True)
    (root / "orchestr.toml").write_bytes(tomli_w.dumps(table).encode("utf-8"))
    try:
        load_settings(root, {"ORCHESTR_SET_LIMITS_JOBS": "2", "ORCHESTR_SET_FORGE_DRAFT": "x"})
    except SpecError as error:
        assert error.problems


def test_the_github_forge_has_its_own_settings(tmp_path: Path) -> None:
    text = '[forge]\nkind = "github"\nprogram = "gh2"\npatience = "90s"\n'
    settings = load(tmp_path, AGENT + text, ORCHESTR_SET_FORGE_DRAFT="false")
    assert settings.forge == ForgeSettings("github", False, "gh2", 90.0)


@pytest.mark.parametrize(
    "url",
    ["git.example.org", "https://u:glpat-secretSecret0123456@x.org", "file:///x", "https://x y"],
)
def test_the_address_of_a_forge_is_one_and_has_no_login(tmp_path: Path, url: str) -> None:
    said = problems(tmp_path, AGENT + f'[forge]\nkind = "gitlab"\nurl = "{url}"\n')
    assert "is not the address of a forge" in said
    assert "glpat-" not in said
    good = '[forge]\nkind = "gitlab"\nurl = "https://x.org:8443/git/lab/"\n'
    assert load(tmp_path, AGENT + good).forge.url == "https://x.org:8443/git/lab/"


def test_a_setting_is_declared_once() -> None:
    """A field of a record is a key: its conversion, its variable and its section follow."""

    @dataclass(frozen=True)
    class Toy:
        name: str
        level: Annotated[int, keys.count(1, 5), Doc("how much")] = 2
        home: Annotated[Path | None, keys.path_key()] = None
        word: keys.Word | None = None

    found = list_keys(Toy)

    assert list(found) == ["level", "home", "word"]
    assert found["level"].convert(5) == 5
    assert [found[name].path for name in found] == [False, True, False]
    assert keys.parse_variable_text(found["level"], "3") == 3
    assert keys.parse_variable_text(found["word"], "3") == "3"
    with pytest.raises(BadValue, match="must be between 1 and 5, got 6"):
        found["level"].convert(6)


def test_every_field_of_a_section_is_a_key_with_a_description() -> None:
    records = {
        "workspace": WorkspaceSettings, "repos": RepoSettings, "agents": AgentSettings,
        "limits": LimitSettings, "checks": CheckSettings, "ports": PortSettings,
        "forge": ForgeSettings, "landing": LandingSettings, "notify": NotifySettings,
        "sandbox": SandboxSettings, "follow": FollowSettings, "draft": DraftSettings,
        "mcp": McpServer,
    }  # fmt: skip

    assert KEYS_OF_SECTIONS.keys() == {*records, "phases"}  # those of `FIELDS`
    assert KEYS_OF_SECTIONS["phases"].keys() == FIELDS.keys()
    for section, record in records.items():
        names = [field.name for field in fields(record) if field.name not in ("name", "root")]
        assert list(KEYS_OF_SECTIONS[section]) == names
        for name in names:
            marks = getattr(record.__annotations__[name], "__metadata__", ())
            assert [m for m in marks if isinstance(m, Doc) and m.text], f"{section}.{name}"


def test_examples_and_usual_values_are_taken(tmp_path: Path) -> None:
    for record in (
        WorkspaceSettings,
        RepoSettings,
        AgentSettings,
        LimitSettings,
        NotifySettings,
        SandboxSettings,
        McpServer,
    ):
        for name, key in list_keys(record).items():
            for mark in record.__annotations__[name].__metadata__:
                if isinstance(mark, Doc) and mark.example is not None:
                    key.convert(mark.example)
            if key.usual is not None:
                key.convert(key.usual)
