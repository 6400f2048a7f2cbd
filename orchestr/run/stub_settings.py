"""The settings and paths of a stub run: all that is real but the agents and what they could reach.

Pure: tables in, tables out. Every agent becomes the program of `orchestr.agents.stub_program`,
every repository a clone of the stub's own, the forge the local one. What is not named here stays
as the user has it: limits, checks, sandbox, notify, landing.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from orchestr.cell.ownership import PathClaims, judge_paths
from orchestr.spec.path_patterns import match_paths

TRAILER = "Orchestr-Stub: nothing of this commit is real work"
_PLACES = ("state", "worktrees", "repos")  # each stub has its own
_ANY_AGENT = (
    "model", "paid", "retry_after", "retry_max", "retry_for", "sign", "provider", "network",
)  # fmt: skip
_WILD = re.compile(r"[*?\[]")


def make_stub_settings(
    raw: Mapping[str, Any],
    *,
    root: Path,
    specs: str,
    clones: Mapping[str, str],
    program: tuple[str, ...],
    env: Mapping[str, str],
) -> dict[str, Any]:
    """The tables of the stub's `orchestr.toml`. ``root`` is the user's workspace, ``specs`` the
    folder of the specs in the stub, ``clones`` where each repository lies, ``program`` and ``env``
    start the stub agent. Settings of other repositories are left out: nothing may reach them."""
    found: dict[str, Any] = copy.deepcopy(dict(raw))
    workspace = {k: v for k, v in found.get("workspace", {}).items() if k not in _PLACES}
    workspace["specs"] = specs
    workspace["trailers"] = [*workspace.get("trailers", ()), TRAILER]
    if workspace.get("prompt", "").startswith(("..", "/", "~")):
        outside = os.path.expanduser(workspace["prompt"])  # noqa: PTH111 - may be relative, too
        workspace["prompt"] = os.path.normpath(root / outside)
    found["workspace"] = workspace
    known = found.get("repos", {})
    found["repos"] = {
        name: _make_repo(known.get(name, {}), place) for name, place in clones.items()
    }
    found["agents"] = {
        name: table
        if name == "default"
        else {
            **{key: value for key, value in table.items() if key in _ANY_AGENT},
            "kind": "command",
            "run": list(program),
            "env": dict(env),
            "paid": False,
        }
        for name, table in found.get("agents", {}).items()
    }
    forge = found.get("forge", {})
    dropped = ("program", "patience", "url") if forge.get("kind", "local") == "local" else (
        "program", "patience", "url", "ci")  # fmt: skip
    found["forge"] = {k: v for k, v in forge.items() if k not in dropped} | {"kind": "local"}
    for key in ("land", "land_requires", "wait"):  # of a real forge
        found.get("landing", {}).pop(key, None)
    return found


# What is about the real clone and its forge; a stub has an origin of its own.
_REAL = ("url", "create", "land", "forge", "forge_url", "remote", "upstream", "land_requires")


def _make_repo(table: Mapping[str, Any], place: str) -> dict[str, Any]:
    mine = {k: v for k, v in table.items() if k not in _REAL}
    if "trailers" in mine:  # instead of the workspace's
        mine["trailers"] = [*mine["trailers"], TRAILER]
    return {**mine, "path": place}


def choose_stub_path(claims: PathClaims, only: Sequence[str] = ()) -> str:
    """The path that the stub agent of a cell changes: a file of its own in a folder that the cell
    owns, else one of a name that fits, else an owned file, which gets an empty line. ``only``: the
    paths of a phase of one's own, within those of its cell; empty where none is within both."""
    own = f"orchestr-stub-{claims.cell}"
    patterns = [*only, *claims.owned, *claims.shared]
    candidates = [f"{own}.txt"] if not claims.owned and not only else []
    folders = [_plain_folder(pattern) for pattern in patterns]
    candidates += [f"{folder}{own}{end}" for end in (".txt", "") for folder in folders]
    names = [_fill_name(pattern, own) for pattern in patterns]
    candidates += names
    if only:  # a name of one, in a folder of another
        candidates += [folder + PurePosixPath(name).name for folder in folders for name in names]
    candidates += [pattern.strip("/") for pattern in patterns if not _WILD.search(pattern)]
    is_of_phase = match_paths(only) if only else lambda path: True
    good = (p for p in candidates if is_of_phase(p) and not judge_paths(claims, [p]).paths)
    return next(good, "" if only else f"{own}.txt")


def _plain_folder(pattern: str) -> str:
    """The folders before the first wildcard: `src/` of `src/**/x.py`, of `src/` and of `src/*`."""
    steps = pattern.strip("/").split("/")
    plain = []
    for step in steps if pattern.endswith("/") else steps[:-1]:
        if _WILD.search(step):
            break
        plain.append(step)
    return "".join(f"{step}/" for step in plain)


def _fill_name(pattern: str, own: str) -> str:
    """A path that the pattern matches: `src/own.go` of `src/**/*.go`."""
    steps = [step for step in PurePosixPath(pattern.strip("/")).parts if step != "**"]
    if steps and _WILD.search(steps[-1]):
        steps[-1] = steps[-1].replace("*", own, 1).replace("*", "x").replace("?", "x")
    return "/".join(step.replace("*", "x").replace("?", "x") for step in steps)


def without_settings_variables(environ: Iterable[str]) -> list[str]:
    """The variables that would change a stub's settings: they are in its file already."""
    return [name for name in environ if name == "ORCHESTR_HOME" or name.startswith("ORCHESTR_SET_")]
