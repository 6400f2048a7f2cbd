"""What one program may reach: decided here, written as a plan, carried out by `enter`.

A `WallRequest` says who works where; `plan_wall` makes the words of bubblewrap from it. The plan is
a file beside the work (`wall.json`), so that the process that enters the sandbox imports nothing of
ours. Which sandbox there is says `orchestr.sandbox.choose`.

What holds (docs/security.md): the disk is read-only, secrets and other agents' settings are not
there, `/tmp` is the program's own, processes and sockets outside cannot be seen, only the given
folders can be written. Of a clone, the agent's git can add objects and move the cell's own branch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestr.files import write_json
from orchestr.sandbox.config_copies import ConfigFolder, list_copies, refresh_copy
from orchestr.sandbox.hosts import find_forwarded_ports, format_rules
from orchestr.sandbox.mounts import MountTable
from orchestr.sandbox.places import (
    AGENTS,
    READ_CACHES,
    SECRETS,
    locate_caches,
    locate_in_home,
)
from orchestr.sandbox.programs import list_path_folders, list_program_folders
from orchestr.settings.limit_records import LimitSettings, SandboxSettings

PLAN = "wall.json"
# How bubblewrap, `enter` and `listen` end when they cannot begin, and how they say so.
BROKEN = frozenset((1, 125, 126))
COMPLAINTS = (b"bwrap: ", b"orchestr: sandbox: ", b"orchestr: the network of the sandbox: ")
RETRY_AFTER = 2.0  # s; memory, processes or mounts may be there again
REFUSED = "refused-hosts.jsonl"  # what the proxy did not let through, see `orchestr.sandbox.proxy`
# What every program has to itself: temporary files, and the sockets of the system's services.
TEMPORARY = (Path("/tmp"), Path("/var/tmp"))
SERVICES = Path("/run")
PRIVATE = (*TEMPORARY, SERVICES)
ENTER = Path(__file__).with_name("enter.py")
# What of /run programs need: how names are resolved, and where a system keeps its programs.
RUN = ("systemd/resolve", "resolvconf", "NetworkManager/resolv.conf", "current-system", "wrappers",
       "opengl-driver", "nscd", "cloud-init")  # fmt: skip

# Our own interpreter and modules: what every program of a workspace may read.
OWN_PLACES = (Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2])


@dataclass(frozen=True, slots=True)
class GitPlaces:
    """The git folders of a worktree, and the branch that is the program's own to move.

    Without ``branch`` nothing of them can be written.
    """

    git_dir: Path
    common_dir: Path
    branch: str | None = None


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """What can be reached: everything (``rules`` None), nothing (empty), or by the rules of
    `orchestr.sandbox.hosts`: those of the user (``rules``) and what is ``known`` to be needed.

    ``denied`` are hosts that a wildcard does not cover, ``setting`` is what a refusal names.
    """

    rules: tuple[str, ...] | None = None
    known: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    setting: str = "[sandbox]"

    @property
    def has_everything(self) -> bool:
        """Whether there is no limit at all."""
        return self.rules is None or "all" in self.rules


@dataclass(frozen=True, slots=True)
class WallRequest:
    """Who works where. Paths are absolute.

    ``folder`` is the folder of this work, for the plan, the private `/tmp` and the copies of
    settings; ``caches`` the folder of the package managers' caches, ``blank`` an empty file.
    ``hidden`` is the state folder, of which only what is named here can be seen; ``masked`` are
    paths in ``read`` that cannot. ``common`` is what every program of a workspace may read. Of the
    environment that the sandbox is entered with, only the variables ``kept`` and git's own stay;
    None: all of it. ``program`` is what is started: a path, or a name on PATH.
    """

    worktree: Path
    folder: Path
    hidden: Path
    caches: Path
    blank: Path
    settings: SandboxSettings
    env: Mapping[str, str]
    program: str = ""
    can_write: bool = True
    git: GitPlaces | None = None
    common: tuple[Path, ...] = ()
    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    masked: tuple[Path, ...] = ()
    kept: tuple[str, ...] | None = None
    config: tuple[ConfigFolder, ...] = ()
    network: NetworkPlan = field(default_factory=NetworkPlan)
    limits: LimitSettings = field(default_factory=LimitSettings)


def locate_shared_places(state: Path, kind: str, repo: str) -> tuple[Path, Path]:
    """In the state folder: the empty file of every wall, and the folder of the caches that programs
    of one ``kind`` share in a repository (``blank`` and ``caches`` of a `WallRequest`)."""
    folder = state / "cache" / "sandbox"
    return folder / "empty-file", folder / kind / repo


def explain_broken_wall(code: int | None, output: bytes, errors: bytes) -> str | None:
    """Why a sandbox was not entered, by what its start said; None when it was.

    ``output`` and ``errors`` are the beginnings of what came out of both streams.
    """
    if code not in BROKEN or output or not errors.startswith(COMPLAINTS):
        return None
    line = errors.decode("utf-8", "replace").strip().splitlines()[0]
    return f"its sandbox could not be entered: {line[:300]}"


def wrap_command(plan: Path, argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command that runs ``argv`` behind the wall of a plan."""
    return (sys.executable, "-I", "-S", str(ENTER), str(plan), "--", *argv)


def write_plan(request: WallRequest, bwrap: str, *, has_scopes: bool) -> Path:
    """Write `wall.json` for one start, with the folders that it names. Raises SandboxError,
    OSError."""
    plan = request.folder / PLAN
    write_json(plan, plan_wall(request, bwrap, has_scopes=has_scopes))
    plan.chmod(0o600)
    return plan


def plan_wall(request: WallRequest, bwrap: str, *, has_scopes: bool) -> dict[str, Any]:
    """The plan as `enter` reads it: see there for its form."""
    table = MountTable(request.blank)
    home = find_home(request)
    _cover_system(table, request)
    _cover_home(table, request, home)
    for path in (*request.common, *request.read):
        if not any(place.is_relative_to(path) for place in PRIVATE):
            table.allow_reading(path)
    for path in find_program_folders(request):
        table.allow_reading(path)
    for path in request.masked:
        table.hide_path(path)
    _cover_caches(table, request, home)
    _cover_work(table, request)
    _cover_config(table, request)
    for path in find_listening_sockets(home):
        if not path.is_relative_to(request.worktree):
            table.hide_path(path)
    for name in request.settings.hide:
        table.hide_path(_expand(name, home))
    for name in request.settings.show:
        if (shown := _expand(name, home)).exists():
            table.allow_reading(shown)
    for name in request.settings.write:
        if (written := _expand(name, home)).exists():
            table.allow_writing(written)
    return {
        "bwrap": bwrap,
        "mounts": table.list_words(),
        "network": _describe_network(request),
        "kept": None if request.kept is None else sorted(request.kept),
        "limits": _describe_limits(request.limits, has_scopes=has_scopes),
    }


def _cover_system(table: MountTable, request: WallRequest) -> None:
    """What of the machine is not for a program: sockets, temporary files of others, our state."""
    for path in TEMPORARY:
        table.allow_writing(path, _make_folder(request.folder / "tmp"))
    table.empty_folder(SERVICES)
    for name in RUN:
        if (SERVICES / name).exists():
            table.allow_reading(SERVICES / name)
    table.hide_path(request.hidden)


def _cover_home(table: MountTable, request: WallRequest, home: Path) -> None:
    """A home folder without secrets; what is made in it beside its folders vanishes."""
    if not home.is_dir() or home == Path("/"):
        return
    hidden = list_hidden_places(request, home)
    table.open_folder(home, without=frozenset(p.name for p in hidden if p.parent == home))
    for path in hidden:
        table.hide_path(path)


def find_home(request: WallRequest) -> Path:
    """The home folder of the user as a program sees it; one that cannot exist when it has none."""
    return Path(request.env.get("HOME") or "/nonexistent")


def list_hidden_places(request: WallRequest, home: Path) -> list[Path]:
    """Secrets, and the settings of agents but for those that the program has itself."""
    own = {os.path.realpath(folder.path) for folder in request.config}
    places = [locate_in_home(name, home, request.env) for name in (*SECRETS, *AGENTS)]
    return [path for path in places if os.path.realpath(path) not in own]


def _cover_caches(table: MountTable, request: WallRequest, home: Path) -> None:
    for name, place in locate_caches(home, request.env):
        if request.settings.caches == "shared":
            if place.exists():
                table.allow_writing(place)
            continue
        table.allow_writing(place, _make_folder(request.caches / name))
    if request.settings.caches == "private":
        folder = locate_in_home(".cache", home, request.env)
        for name in READ_CACHES:
            if (folder / name).is_dir():
                table.allow_reading(folder / name)


def _cover_work(table: MountTable, request: WallRequest) -> None:
    if request.can_write:
        table.allow_writing(request.worktree)
    else:
        table.allow_reading(request.worktree)
    for path in request.write:
        table.allow_writing(path)
    git = request.git
    if git is None:
        return
    if (request.worktree / ".git").is_file():
        table.allow_reading(request.worktree / ".git")
    table.allow_reading(git.common_dir)
    if git.branch is not None and git.git_dir != git.common_dir:
        written, fixed = prepare_branch_places(git, git.branch)
        for path in written:
            table.allow_writing(path)
        for path in fixed:
            if path.exists():
                table.allow_reading(path)


def prepare_branch_places(git: GitPlaces, branch: str) -> tuple[list[Path], list[Path]]:
    """What a commit on ``branch`` writes in a clone, and what in these places is not to be written.

    Makes the folders, and the branch's log, that are to be mounted and are not there yet.
    git makes a lock beside the file of a branch, so its folder is writable; the other branches
    in it are not. Packs, and the files that say where a clone is, are not an agent's to change.
    """
    common = git.common_dir
    written = [common / "objects", git.git_dir]
    fixed = [_make_folder(common / "objects" / name) for name in ("pack", "info")]
    fixed += [git.git_dir / name for name in ("commondir", "gitdir", "config.worktree")]
    if (common / "reftable").is_dir():
        return [*written, common / "reftable"], fixed
    own = common / "refs" / "heads" / branch
    written.append(_make_folder(own.parent))
    with os.scandir(own.parent) as entries:
        beside = (own.name, f"{own.name}.lock")
        fixed += [Path(entry.path) for entry in entries if entry.name not in beside]
    log = common / "logs" / "refs" / "heads" / branch
    _make_folder(log.parent)
    log.touch()
    written.append(log)
    if (common / "lfs").is_dir():
        written.append(common / "lfs")
    return written, fixed


def _cover_config(table: MountTable, request: WallRequest) -> None:
    """The agent's own settings: a copy in the folder of its work, so its sessions stay with it."""
    for folder, copy in list_copies(request.config, request.folder):
        refresh_copy(folder, copy)
        table.allow_writing(folder.path, copy)
        for source, name in folder.shown:
            if source.exists():
                table.allow_reading(Path(os.path.realpath(folder.path), name), source)


def find_program_folders(request: WallRequest) -> list[Path]:
    """Where programs lie that a sandbox does not show of its own accord: those on PATH in a private
    folder; the program itself also among the settings of agents.

    Never a folder that holds the home folder, our state or a whole private folder.
    """
    home = find_home(request)
    agents = [Path(os.path.realpath(locate_in_home(n, home, request.env))) for n in AGENTS]
    own = set(list_program_folders(request.program, request.env))
    kept = (home, request.hidden, *PRIVATE)
    return [
        path
        for path in dict.fromkeys((*list_path_folders(request.env), *own))
        if (path in own if _is_in(path, agents)
            else _is_in(path, PRIVATE) and not path.is_relative_to(home))
        and not any(one.is_relative_to(path) for one in kept)
    ]  # fmt: skip


def _is_in(path: Path, places: Sequence[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)


def find_listening_sockets(home: Path, table: Path = Path("/proc/net/unix")) -> list[Path]:
    """The sockets of services on this machine that lie in folders which can be read inside.

    A program can connect to a socket (docker's, ssh's, a multiplexer's) through a read-only mount.
    """
    try:
        lines = table.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    rows = (line.split(None, 7) for line in lines)
    names = {row[7] for row in rows if len(row) == 8 and row[7].startswith("/")}
    paths = [Path(name) for name in sorted(names)]
    seen = [  # a home may lie in a private folder, and is there all the same
        path for path in paths
        if path.is_relative_to(home) or not any(path.is_relative_to(p) for p in PRIVATE)
    ]  # fmt: skip
    return [path for path in seen if path.is_socket()]


def _describe_network(request: WallRequest) -> dict[str, Any]:
    plan = request.network
    if plan.rules is None or plan.has_everything:
        return {"kind": "all"}
    if not plan.rules and not plan.known:
        return {"kind": "none"}
    return {
        "kind": "rules",
        "rules": format_rules(plan.rules, plan.known, denied=plan.denied, setting=plan.setting,
                              environ=request.env),
        "ports": [0, *find_forwarded_ports((*plan.rules, *plan.known))],
        "log": str(request.folder / REFUSED),
    }  # fmt: skip


def _describe_limits(limits: LimitSettings, *, has_scopes: bool) -> dict[str, Any]:
    return {
        "memory": limits.memory,
        "cpus": limits.cpus,
        "pids": limits.pids,
        "scope": has_scopes,
    }


def _make_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _expand(name: str, home: Path) -> Path:
    return home / name[2:] if name.startswith("~/") else Path(name)
