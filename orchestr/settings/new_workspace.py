"""The files of a new workspace (`orchestr init`): settings, an example that runs, its demo agent.

Never overwrites: a file that is there stays as it is and is reported as kept; ``.gitignore``
only gets the lines that it lacks. Doing it twice changes nothing. What there is around the folder
(repositories, agents) is found by `orchestr.commands.base.survey`; here it is written down.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from orchestr.errors import OrchestrError
from orchestr.files import write_atomic
from orchestr.spec.field_types import check_repo_name, escape_unprintable

SETTINGS = "orchestr.toml"
EXAMPLE = "specs/example.yaml"
SCHEMA = "specs/orchestr.schema.json"
DEMO_AGENT = "tools/demo-agent.sh"
MAKE_PLAYGROUND = "tools/make-playground.sh"
PLAYGROUND = "playground"
DODO = '''"""The tasks of this workspace: `doit list`, `doit run feature:example`."""
from orchestr.dodo import *  # noqa: F403
'''
IGNORED = (".orchestr/", ".doit.db*")
_TEMPLATES = files("orchestr.settings") / "templates"


@dataclass(frozen=True, slots=True)
class CheckEntry:
    """A check as an inline table of TOML, what it was seen from, and why it cannot be run as it is
    (empty: it can)."""

    table: str
    reason: str
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class RepoEntry:
    """A repository: its path as it stands in the settings, and why the example opens no pull
    request in it (empty: it does). ``remote``, ``upstream``, ``forge``: as the settings have
    them, empty where they need not say so."""

    name: str
    path: str
    checks: tuple[CheckEntry, ...] = ()
    unpublished: str = ""
    remote: str = ""
    upstream: str = ""
    forge: str = ""

    @property
    def ready_checks(self) -> tuple[CheckEntry, ...]:
        """Those that can be run as they are."""
        return tuple(check for check in self.checks if not check.obstacle)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the workspace is made for. Without ``repos`` the example has a playground of its own.

    ``agents`` are agents that are installed, the default first: names of kinds, and those of
    ``acp_commands``, the commands of agents that speak ACP. ``forge`` is the kind of the hosted
    forge that pull requests can be opened at, empty without one; ``forge_why_not`` says of each
    kind that a remote is at what lacks, ``forge_unknown`` which hosts are of no known kind.
    """

    repos: tuple[RepoEntry, ...] = ()
    agents: tuple[str, ...] = ()
    forge: str = ""
    forge_why_not: Mapping[str, str] = field(default_factory=dict)
    forge_unknown: str = ""
    acp_commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NOTHING = Surroundings()


@dataclass(frozen=True, slots=True)
class WorkspaceFiles:
    """What `write_workspace` did: paths relative to the workspace, in the order of writing."""

    written: tuple[str, ...]
    kept: tuple[str, ...]


def write_workspace(root: Path, found: Surroundings = NOTHING) -> WorkspaceFiles:
    """Make a workspace in ``root`` (created when it is not there).

    Where settings are there already, nothing is written that only new ones name. Raises BadValue
    for an impossible name, OrchestrError when the disk refuses.
    """
    for repo in found.repos:
        check_repo_name(repo.name)
    written: list[str] = []
    kept: list[str] = []
    try:
        root.mkdir(parents=True, exist_ok=True)
        for name, text in _list_files(root, found).items():
            target = root / name
            if os.path.lexists(target):
                kept.append(name)
                continue
            target.parent.mkdir(exist_ok=True)
            with target.open("x", encoding="utf-8") as stream:
                stream.write(text)
            written.append(name)
        ours = os.path.lexists(root / MAKE_PLAYGROUND)
        lines = (*IGNORED, f"{PLAYGROUND}/") if ours else IGNORED
        (written if _add_ignored_lines(root / ".gitignore", lines) else kept).append(".gitignore")
    except (FileExistsError, NotADirectoryError) as error:
        raise OrchestrError(
            f"{error.filename or root} is a file, not a folder",
            hint="give another folder: orchestr init FOLDER",
        ) from error
    except OSError as error:
        raise OrchestrError(
            f"cannot write {error.filename or root}: {error.strerror}",
            hint="make the folder writable, then run `orchestr init` again",
        ) from error
    return WorkspaceFiles(tuple(written), tuple(kept))


def _list_files(root: Path, found: Surroundings) -> dict[str, str]:
    """Path -> text of all that a workspace needs which is as it is now."""
    from orchestr.spec.validate import json_schema

    wanted = {SETTINGS: _settings_text(found)}
    has_settings = os.path.lexists(root / SETTINGS)
    # A workspace with specs of its own needs no example.
    if os.path.lexists(root / EXAMPLE) or not any((root / "specs").glob("*.y*ml")):
        wanted[EXAMPLE] = _example_text(found)
    wanted[SCHEMA] = json.dumps(json_schema(), indent=2) + "\n"
    tools = [DEMO_AGENT] if found.repos else [DEMO_AGENT, MAKE_PLAYGROUND]
    for name in tools:
        if not has_settings or os.path.lexists(root / name):
            wanted[name] = _read_template(Path(name).name)
    wanted["dodo.py"] = DODO
    return wanted


def _read_template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _settings_text(found: Surroundings) -> str:
    agents = "\n".join(_agent_text(name, found.acp_commands.get(name)) for name in found.agents)
    default = found.agents[0] if found.agents else "demo"
    repos = "\n".join(map(repo_table, found.repos)) or _read_template("playground.toml")
    text = _read_template("orchestr.toml")
    return (
        text.replace("{repos}", repos.strip())
        .replace("{default}", default)
        .replace("{agents}\n", f"{agents}\n" if agents else "")
        .replace("{forge}", _forge_text(found))
    )


def repo_table(repo: RepoEntry) -> str:
    """The table of a repository; a check that could not be run now is a comment."""
    lines = [
        f"[repos.{_toml_key(repo.name)}]",
        f"path = {json.dumps(repo.path, ensure_ascii=False)}",
    ]
    for key, value in (
        ("remote", repo.remote), ("upstream", repo.upstream), ("forge", repo.forge),
    ):  # fmt: skip
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}"] if value else []
    if repo.ready_checks:
        lines.append("checks = [")
        lines += [f"    {check.table},  # {_comment(check.reason)}" for check in repo.ready_checks]
        lines.append("]")
    for check in repo.checks:
        if check.obstacle:
            why = _comment(f"{check.reason}, but {check.obstacle}")
            lines.append(f"# checks = [{check.table}]  # {why}")
    if not repo.checks:
        lines.append('# checks = [{kind = "command", run = ["make", "test"]}]  # none was detected')
    return "\n".join(lines) + "\n"


def _agent_text(name: str, acp_command: tuple[str, ...] | None) -> str:
    if acp_command is None:
        return f'[agents.{name}]\nkind = "{name}"\n'
    return f'[agents.{name}]\nkind = "acp"\nrun = {json.dumps(list(acp_command))}\n'


def _forge_text(found: Surroundings) -> str:
    if found.forge:
        how = "by its client gh" if found.forge == "github" else "docs/forges.md"
        start = f'kind = "{found.forge}"'
        return f'{start:<27}# {how}; "local": a folder, nothing leaves here'
    if found.forge_why_not or found.forge_unknown:
        lacks = "; ".join(f'"{kind}": {why}' for kind, why in found.forge_why_not.items())
        lacks = lacks or found.forge_unknown
        return f'kind = "local"             # {_comment(lacks)}'
    return 'kind = "local"             # a folder, .orchestr/forge; or "github"'


def _comment(text: str) -> str:
    """A text that stays one line of a comment, whatever a file or a remote is called."""
    return escape_unprintable(" ".join(text.split()))


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _example_text(found: Surroundings) -> str:
    """Two cells, the second on the first: in two repositories, else in the only one."""
    best = sorted(found.repos, key=lambda r: (bool(r.unpublished), not r.ready_checks))
    repos = best[:2] or [RepoEntry(PLAYGROUND, PLAYGROUND)]
    first, last = repos[0], repos[-1]
    names = _cell_names([repo.name for repo in repos]) if first != last else ["first", "second"]
    return (
        _read_template("example.yaml")
        .replace("{first}", names[0])
        .replace("{second}", names[1])
        .replace("{first_repo}", first.name)
        .replace("{second_repo}", last.name)
        .replace("{first_phases}", _phases_text(first))
        .replace("{second_phases}", _phases_text(last))
    )


def _phases_text(repo: RepoEntry) -> str:
    if not repo.unpublished:
        return ""
    why = _comment(repo.unpublished)
    return f"    phases: [implement, check, review]    # no publish: {why}\n"


def _cell_names(repos: Sequence[str]) -> list[str]:
    """A cell's name for each repository: what a cell may be called, and none twice."""
    names: list[str] = []
    for repo in repos:
        plain = re.sub(r"[^a-z0-9]+", "-", repo.lower()).strip("-")
        name = plain if plain[:1].isalpha() else f"cell-{plain}".rstrip("-")
        names.append(name if name not in names else f"{name}-2")
    return names


def _add_ignored_lines(path: Path, wanted: Sequence[str]) -> bool:
    """Add the lines that are missing; True when there were any."""
    try:
        old = path.read_bytes()
    except FileNotFoundError:
        old = b""
    lines = {line.strip() for line in old.splitlines()}
    missing = [line for line in wanted if line.encode() not in lines]
    if not missing:
        return False
    gap = b"" if not old or old.endswith(b"\n") else b"\n"
    write_atomic(path, old + gap + "".join(f"{line}\n" for line in missing).encode())
    return True
