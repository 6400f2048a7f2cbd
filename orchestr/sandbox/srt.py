"""The same wall by Anthropic's sandbox runtime (`srt`): for macOS, and where it is asked for.

It has no private `/tmp` and no copies of settings: what it can say is which paths are read, which
are written, and which hosts are reached. docs/security.md says what is weaker than in bubblewrap.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from orchestr.files import write_json
from orchestr.sandbox.hosts import FORGE_HOSTS, PACKAGE_HOSTS
from orchestr.sandbox.places import locate_caches
from orchestr.sandbox.wall import (
    WallRequest,
    find_home,
    find_program_folders,
    list_hidden_places,
    prepare_branch_places,
)

SETTINGS = "srt.json"


def wrap_with_srt(request: WallRequest, program: str, argv: tuple[str, ...]) -> tuple[str, ...]:
    """Write the settings of one start beside it; the command that runs ``argv`` with them."""
    path = request.folder / SETTINGS
    write_json(path, srt_settings(request))
    return (program, "--settings", str(path), "-c", shlex.join(argv))


def srt_settings(request: WallRequest) -> dict[str, object]:
    """The settings in srt's own form."""
    home = find_home(request)
    hidden = [path for path in list_hidden_places(request, home) if path.exists()]
    written = [*request.write, request.folder / "tmp"]
    written += [request.worktree] if request.can_write else []
    written += [place for _, place in locate_caches(home, request.env)]
    written += [folder.path for folder in request.config]
    written += [own for folder in request.config for own, _ in folder.logins if own.is_file()]
    guarded = [source for folder in request.config for source, _ in (*folder.copies, *folder.shown)]
    if (request.worktree / ".git").is_file():
        guarded.append(request.worktree / ".git")
    if request.git is not None and request.git.branch is not None:
        writable, fixed = prepare_branch_places(request.git, request.git.branch)
        written += writable
        guarded += fixed
    (request.folder / "tmp").mkdir(exist_ok=True)
    network = request.network
    rules = [rule for rule in (*(network.rules or ()), *network.known) if rule != "all"]
    if network.has_everything:  # srt takes no rule for every host
        rules += [host for hosts in PACKAGE_HOSTS.values() for host in hosts]
    read = [request.worktree, *request.common, *request.read, *find_program_folders(request)]
    return {
        "network": {
            "allowedDomains": list(dict.fromkeys(rules)),
            "deniedDomains": [*network.denied, *FORGE_HOSTS],
            "allowLocalBinding": True,
        },
        "filesystem": {
            "denyRead": _texts([*hidden, request.hidden, *request.masked]),
            "allowRead": _texts([*written, *_beside(read, written)]),
            "allowWrite": _texts(written),
            "denyWrite": _texts(path for path in guarded if path.exists()),
        },
    }


def _beside(read: list[Path], written: list[Path]) -> list[Path]:
    """What can be read, without folders around what can be written: srt would mount them over it,
    read-only. Of such a folder its other entries are named instead."""
    found: list[Path] = []
    for path in read:
        inner = [one for one in written if one.is_relative_to(path)]
        if not inner:
            found.append(path)
        elif path.is_dir():
            found += _beside([entry for entry in path.iterdir() if entry not in inner], inner)
    return found


def _texts(paths: object) -> list[str]:
    return [str(path) for path in dict.fromkeys(paths)]  # type: ignore[call-overload]
