"""The settings of a workspace: ``orchestr.toml``, the environment over it, built-ins below it.

Owns finding the workspace and turning its settings into records with absolute paths, seconds
and bytes; what is not there or not usable is the business of whoever uses it. Every problem is
reported at once with file, line, key and the nearest known name. Keys, conversions and built-in
values stand in `orchestr.settings.records`; here stands what needs more than one value. No
pydantic: every command pays for this module.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orchestr.errors import OrchestrError, Problem, SpecError, UsageError
from orchestr.settings import toml_positions
from orchestr.settings.agent_checks import (
    Fault,
    list_kind_faults,
    list_option_faults,
    list_server_faults,
)
from orchestr.settings.forge_records import ForgeSettings
from orchestr.settings.keys import DEFAULT_AGENT, parse_variable_text
from orchestr.settings.kinds import FORGE_KINDS
from orchestr.settings.landing_records import LandingSettings
from orchestr.settings.limit_records import LimitSettings, SandboxSettings
from orchestr.settings.machine_records import CheckSettings, McpServer, PortSettings
from orchestr.settings.news_records import DraftSettings, FollowSettings, NotifySettings
from orchestr.settings.records import (
    AgentSettings,
    RepoSettings,
    Settings,
    WorkspaceSettings,
)
from orchestr.settings.sections import KEYS, Section
from orchestr.spec import field_types
from orchestr.spec.checks import CheckDef
from orchestr.spec.field_types import BadValue, kind_of, quote_value, suggest_name
from orchestr.spec.own_phases import OwnPhase, make_phase

FILE = "orchestr.toml"
# Keys of `[forge]` that only some kinds have (`ForgeKind.keys`), and one that has it.
FORGE_KEYS = {"program": "github", "patience": "github", "ci": "local", "url": "gitlab"}
PREFIX = "ORCHESTR_SET_"


def find_workspace(start: Path) -> Path:
    """The nearest folder from ``start`` upwards that holds ``orchestr.toml``.

    Raises UsageError when there is none.
    """
    folder = start.absolute()
    for candidate in (folder, *folder.parents):
        if (candidate / FILE).is_file():
            return candidate
    raise UsageError(
        f"no {FILE} in {folder} nor in any folder above it",
        hint="run this inside a workspace, or `orchestr init` to make one here",
    )


def load_settings(root: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of the workspace ``root``: environment over file over built-in.

    ``ORCHESTR_SET_<SECTION>_<KEY>`` sets one value (``ORCHESTR_SET_LIMITS_JOBS=5``,
    ``ORCHESTR_SET_AGENTS_SCRIPTED_MODEL=opus``), ``ORCHESTR_HOME`` the state folder.
    Raises SpecError with every problem.
    """
    root = root.absolute()
    return _SettingsLoader(root, environ).load()


def read_raw_settings(root: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """The tables of ``orchestr.toml`` as TOML gives them, with the values of ``ORCHESTR_SET_*``.

    Their values are not checked, `load_settings` does that. Raises SpecError.
    """
    return _SettingsLoader(root.absolute(), environ).read_raw()


class _SettingsLoader:
    """One reading of the settings: collects problems while it converts."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self._root = root
        self._environ = environ
        self._problems: list[Problem] = []
        self._sources: dict[tuple[str, ...], str] = {}  # values that came from the environment
        self._text = ""

    def read_raw(self) -> dict[str, Any]:
        raw = self._read_file()
        self._merge_environment(raw)
        return raw

    def load(self) -> Settings:
        raw = self.read_raw()
        for name in raw.keys() - KEYS.keys():
            self._add_problem((name,), "unknown section", suggest_name(name, KEYS), at_key=True)
        workspace = self._load_workspace(
            self._convert_section("workspace", raw.get("workspace", {}))
        )
        repos = self._load_repos(raw.get("repos", {}), workspace.state / "cache")
        servers = self._load_servers(raw.get("mcp", {}))
        agents, default = self._load_agents(raw.get("agents", {}), servers)
        phases = self._load_phases(raw.get("phases", {}), agents)
        limits = LimitSettings(**self._convert_section("limits", raw.get("limits", {})))
        forge = self._load_forge(raw.get("forge", {}), repos)
        checks = CheckSettings(**self._convert_section("checks", raw.get("checks", {})))
        ports = self._load_ports(raw.get("ports", {}))
        landing = LandingSettings(**self._convert_section("landing", raw.get("landing", {})))
        notify = NotifySettings(**self._convert_section("notify", raw.get("notify", {})))
        sandbox = SandboxSettings(**self._convert_section("sandbox", raw.get("sandbox", {})))
        follow = FollowSettings(**self._convert_section("follow", raw.get("follow", {})))
        draft = DraftSettings(**self._convert_section("draft", raw.get("draft", {})))
        if self._problems:
            raise SpecError(sorted(self._problems, key=lambda p: (p.file, p.line, p.column)))
        return Settings(
            workspace=workspace,
            repos=MappingProxyType(repos),
            agents=MappingProxyType(agents),
            limits=limits,
            forge=forge,
            checks=checks,
            ports=ports,
            default_agent=default,
            landing=landing,
            notify=notify,
            sandbox=sandbox,
            follow=follow,
            phases=MappingProxyType(phases),
            draft=draft,
            mcp=MappingProxyType(servers),
        )

    def _read_file(self) -> dict[str, Any]:
        try:
            with (self._root / FILE).open("rb") as stream:
                data = stream.read(field_types.MAX_BYTES + 1)
        except OSError as error:
            hint = "`orchestr init` makes a workspace"
            why = f"cannot be read: {error.strerror}"
            raise SpecError([Problem(FILE, 0, 0, "", why, hint)]) from None
        if len(data) > field_types.MAX_BYTES:
            raise SpecError([Problem(FILE, 0, 0, "", "is larger than 4 MiB")])
        try:
            self._text = data.decode("utf-8-sig")
            return tomllib.loads(self._text)
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            message = f"byte 0x{data[error.start]:02x} is not UTF-8"
            raise SpecError([Problem(FILE, line, 1, "", message, "save it as UTF-8")]) from None
        except tomllib.TOMLDecodeError as error:
            message, line, column = toml_positions.parse_toml_error(str(error), self._text)
            raise SpecError([Problem(FILE, line, column, "", f"not TOML: {message}")]) from None
        except RecursionError:
            raise SpecError([Problem(FILE, 0, 0, "", "is nested too deeply")]) from None

    def _merge_environment(self, raw: dict[str, Any]) -> None:
        """Put ``ORCHESTR_SET_*`` over the file's values, in the form that TOML would give."""
        known = toml_positions.environment_variables(raw, PREFIX)
        for variable in sorted(v for v in self._environ if v.startswith(PREFIX)):
            path = known.get(variable)
            if path is None:
                message, hint = "no such setting", suggest_name(variable, known.keys())
                self._problems.append(Problem(variable, 0, 0, "", message, hint))
                continue
            table = raw
            for step in path[:-1]:
                inner = table.setdefault(step, {})
                if not isinstance(inner, dict):
                    break  # the file's own problem, reported where it stands
                table = inner
            else:
                self._sources[path] = variable
                how = DEFAULT_AGENT if len(path) == 2 and path[0] == "agents" else None
                how = how or KEYS[path[0]][path[-1]]
                table[path[-1]] = parse_variable_text(how, self._environ[variable])

    def _convert_section(self, name: str, raw: Any, *path: str) -> dict[str, Any]:
        """The converted values of one table; what is wrong is noted and left out."""
        here = (name, *path)
        section: Section = KEYS[name]
        if not isinstance(raw, dict):
            self._add_problem(here, f"must be a table, got {kind_of(raw)}", at_key=True)
            return {}
        result: dict[str, Any] = {}
        for key, value in raw.items():
            if key not in section:
                self._add_problem(
                    (*here, key), "unknown setting", suggest_name(key, section), at_key=True
                )
                continue
            try:
                result[key] = section[key].convert(value)
            except BadValue as error:
                self._add_problem((*here, key, *map(str, error.field)), error.message, error.hint)
        return result

    def _load_workspace(self, given: dict[str, Any]) -> WorkspaceSettings:
        home = self._environ.get("ORCHESTR_HOME")
        if home:
            given["state"] = home
        state = self._resolve_path(given.get("state") or KEYS["workspace"]["state"].usual or "")
        self._resolve_paths("workspace", given, state)
        settings = WorkspaceSettings(self._root, **given)
        if state in (self._root, *self._root.parents, settings.specs):
            why = "the state needs a folder of its own, not one with other things in it"
            self._add_problem(("workspace", "state"), why, "the default is .orchestr")
        return settings

    def _load_repos(self, raw: Any, cache: Path) -> dict[str, RepoSettings]:
        result: dict[str, RepoSettings] = {}
        for name, table in self._list_tables("repos", raw):
            self._check_name(("repos", name), field_types.check_repo_name, name)
            given = self._convert_section("repos", table, name)
            self._resolve_paths("repos", given, cache.parent)
            if "url" in given and "create" in given:
                why = "a repository is cloned from `url` or made by `create`, not both"
                self._add_problem(("repos", name, "create"), why, "remove one of them")
            if given.get("checks"):
                given["checks"] = self._load_checks(
                    ("repos", name, "checks"), given["checks"], cache
                )
            result[name] = RepoSettings(name, **{**given, "checks": given.get("checks") or ()})
        return result

    def _load_checks(
        self, here: tuple[str, ...], raw: list[Any], cache: Path
    ) -> tuple[CheckDef, ...]:
        from orchestr.settings import repo_checks

        checks, faults = repo_checks.read_repo_checks(raw, cache)
        for path, message, hint, at_key in faults:
            self._add_problem((*here, *map(str, path)), message, hint, at_key=at_key)
        return checks

    def _load_ports(self, raw: Any) -> PortSettings:
        settings = PortSettings(**self._convert_section("ports", raw))
        if settings.base + 10 * settings.slots > 65536:
            why = f"{settings.slots} slots of 10 ports from {settings.base} on end after 65535"
            self._add_problem(("ports", "slots"), why, "take a lower base, or fewer slots")
        return settings

    def _load_servers(self, raw: Any) -> dict[str, McpServer]:
        result: dict[str, McpServer] = {}
        for name, table in self._list_tables("mcp", raw):
            server = McpServer(name, **self._convert_section("mcp", table, name))
            self._add_faults(("mcp", name), list_server_faults(server))
            result[name] = server
        return result

    def _load_agents(
        self, raw: Any, servers: Mapping[str, McpServer]
    ) -> tuple[dict[str, AgentSettings], str | None]:
        default = raw.get("default") if isinstance(raw, dict) else None
        tables = {k: v for k, v in raw.items() if k != "default"} if isinstance(raw, dict) else raw
        result: dict[str, AgentSettings] = {}
        names = []
        for name, table in self._list_tables("agents", tables):
            names.append(name)
            self._check_name(("agents", name), field_types.check_word, name)
            agent = self._load_agent(name, self._convert_section("agents", table, name), table)
            if agent is not None:
                result[name] = agent
                self._add_faults(("agents", name), list_option_faults(agent, servers))
        if default is None:
            return result, names[0] if len(names) == 1 else None
        if not isinstance(default, str):
            why = f"must be the name of an agent, got {kind_of(default)}"
            hint = 'write default = "scripted"; no agent can be called `default`'
            self._add_problem(("agents", "default"), why, hint)
        elif default not in names:
            hint = (
                suggest_name(default, names) or f"declare it: [agents.{quote_value(default)[1:-1]}]"
            )
            self._add_problem(
                ("agents", "default"), f"there is no agent {quote_value(default)}", hint
            )
        return result, default

    def _load_agent(self, name: str, given: dict[str, Any], raw: Any) -> AgentSettings | None:
        here = ("agents", name)
        if not isinstance(raw, dict):
            return None
        if "kind" not in raw:
            self._add_problem(here, "`kind` is required and not there", 'write kind = "command"')
            return None
        if "kind" not in given:
            return None
        self._add_faults(here, list_kind_faults(raw, str(given["kind"])))
        agent = AgentSettings(name, **given)
        if agent.retry_max < agent.retry_after:
            why = "is less than `retry_after`"
            self._add_problem(
                (*here, "retry_max"), why, "waiting starts at retry_after and doubles"
            )
        if agent.resume and agent.stream is None:
            self._add_problem((*here, "resume"), "needs `stream`", 'write stream = "claude"')
        elif agent.resume and not any("{session}" in word for word in agent.resume):
            self._add_problem(
                (*here, "resume"), "has no `{session}`", 'write resume = ["--resume", "{session}"]'
            )
        return agent

    def _load_forge(self, raw: Any, repos: Mapping[str, RepoSettings]) -> ForgeSettings:
        """The table; a key of one kind is allowed when any repository's forge is of it."""
        given = self._convert_section("forge", raw)
        kind = str(given.get("kind", "local"))
        allowed: set[str] = set()
        for name in {kind, *(repo.forge for repo in repos.values())} - {None}:
            try:
                allowed |= set(FORGE_KINDS.load(str(name)).keys)
            except OrchestrError as error:
                self._add_problem(("forge", "kind"), error.message, error.hint)
                return ForgeSettings(**given)
        for key, of in FORGE_KEYS.items():
            if key in given and key not in allowed:
                hint = f'it is for kind = "{of}"'
                self._add_problem(("forge", key), f"kind `{kind}` has no `{key}`", hint)
        for name, repo in repos.items():
            mine = repo.forge or kind
            if repo.forge_url and "url" not in FORGE_KINDS.load(mine).keys:
                why = f"its forge is of kind `{mine}`, which has no address of its own"
                hint = 'write forge = "gitlab" or forge = "forgejo"'
                self._add_problem(("repos", name, "forge_url"), why, hint)
        return ForgeSettings(**given)

    def _load_phases(self, raw: Any, agents: Mapping[str, Any]) -> dict[str, OwnPhase]:
        """Phases of one's own; which of them a cell has, its spec says."""
        result: dict[str, OwnPhase] = {}
        for name, table in self._list_tables("phases", raw):
            before = len(self._problems)
            given = self._convert_section("phases", table, name)
            try:
                phase = make_phase(name, given)
            except BadValue as error:
                if len(self._problems) == before:
                    self._add_problem(
                        ("phases", name, *error.field), error.message, error.hint, at_key=True
                    )
                continue
            if phase.agent is not None and phase.agent not in agents:
                hint = suggest_name(phase.agent, agents)
                message = f"there is no agent {quote_value(phase.agent)}"
                self._add_problem(("phases", name, "agent"), message, hint)
            result[name] = phase
        return result

    def _add_faults(self, here: tuple[str, ...], faults: Iterable[Fault]) -> None:
        for where, message, hint in faults:
            self._add_problem((*here, *where), message, hint)

    def _list_tables(self, name: str, raw: Any) -> list[tuple[str, Any]]:
        if isinstance(raw, dict):
            return list(raw.items())
        self._add_problem((name,), f"must be a table of tables, got {kind_of(raw)}", at_key=True)
        return []

    def _check_name(self, path: tuple[str, ...], check: Any, name: str) -> None:
        try:
            check(name)
        except BadValue as error:
            self._add_problem(path, error.message, error.hint, at_key=True)

    def _resolve_paths(self, section: str, given: dict[str, Any], state: Path) -> None:
        """Make the paths of a section absolute; where none is given, the usual one."""
        for name, key in KEYS[section].items():
            text = given.get(name, key.usual)
            if key.path and text is not None:
                given[name] = self._resolve_path(text.replace("<state>", str(state)))

    def _resolve_path(self, text: str) -> Path:
        """Absolute, with ``~`` for the home folder, relative to the workspace, ``..`` folded."""
        if text == "~" or text.startswith("~/"):
            text = (self._environ.get("HOME") or str(Path.home())) + text[1:]
        return Path(os.path.normpath(self._root / text))

    def _add_problem(
        self, path: tuple[str, ...], message: str, hint: str | None = None, *, at_key: bool = False
    ) -> None:
        variable = self._sources.get(path)
        if variable is not None:
            self._problems.append(Problem(variable, 0, 0, ".".join(path), message, hint))
            return
        line, column = toml_positions.find_place(self._text, path, at_key=at_key)
        shown = ".".join(quote_value(step)[1:-1] for step in path)
        self._problems.append(Problem(FILE, line, column, shown, message, hint))
