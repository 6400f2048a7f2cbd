"""`orchestr` that sends itself a signal at one step: ``runner.py POINT:WHEN#N[#SIGNAL] ARGS``.

The product has no hooks for this: the steps are wrapped here, before the program imports them, and
in the modules that have them already (a fork server's). With ``count`` instead, every step is
written to $CRASH_STEPS and nothing happens.
"""

from __future__ import annotations

import faulthandler
import functools
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

POINTS = {
    "journal": "orchestr.state.journal:Journal.append",
    "write": "orchestr.files:write_atomic",
    "push": "orchestr.git.repo:Repo.push",
    "commit": "orchestr.git.repo:Repo.commit_all",
    "open": "orchestr.forges.local:LocalForge.open_pull_request",
    "edit": "orchestr.forges.local:LocalForge.edit_pull_request",
    "rest": "orchestr.forges.github_api:GitHubApi.send_rest_request",
    "press": "orchestr.forges.github:GitHubForge._press_merge_button",
    "f-open": "orchestr.forges.forgejo:ForgejoForge.open_pull_request",
    "f-press": "orchestr.forges.forgejo:ForgejoForge._press_merge_button",
    "l-open": "orchestr.forges.gitlab:GitLabForge.open_pull_request",
    "l-press": "orchestr.forges.gitlab:GitLabForge._press_merge_button",
    "start": "orchestr.supervisor.client:start_supervisor",
    "add": "orchestr.cell.worktree.ensure:add_worktree",
    "forget": "orchestr.cell.phases.forget:_move_aside",
    "bench": "orchestr.cell.worktree.check_pool:show_commit",
    "index": "orchestr.git.exact_checkout:switch_worktree",
    "leftover": "orchestr.cell.worktree.check_worktree:remove_except",
    "branch": "orchestr.landing.after_landing:move_branch",
    "commits": "orchestr.git.lasting_commit:make_lasting_commit",
    "close": "orchestr.forges.local:LocalForge.close_pull_request",
    "rename": "orchestr.git.branches:rename_branch",
    "merged": "orchestr.forges.local:LocalForge.mark_merged",
    "aside": "orchestr.cell.worktree.person_changes:salvage_uncommitted",
    "kept": "orchestr.cell.worktree.person_changes:_keep",
    "back": "orchestr.cell.worktree.person_changes:_put_back",
    "attempt": "orchestr.state.attempts:write_attempt",
    "ref": "orchestr.git.repo:Repo.update_ref",
    "baseline": "orchestr.cell.worktree.setup_baseline:write_baseline",
    "put-back": "orchestr.cell.worktree.setup_baseline:put_worktree",
    "equip": "orchestr.cell.worktree.setup:equip_worktree",
    "history": "orchestr.cell.worktree.take_out_kit:filter_history",
    "go-on": "orchestr.cell.agent.return_to_author:prepare_next_start",
    "round": "orchestr.state.repairs:begin_round",
    "memory": "orchestr.follow.memory:FollowMemory.write",
    "attached": "orchestr.process.attached:run_attached",
    "audit": "orchestr.audit.record:write_audit",
    "answer": "orchestr.forges.local:LocalForge.answer_once",
}
lock = threading.Lock()
seen: dict[str, int] = {}


def step(point: str, when: str, name: str) -> None:
    """One step came: note it, or end here."""
    wanted = sys.argv[1]
    key = f"{point}:{when}"
    with lock:
        seen[key] = number = seen.get(key, 0) + 1
        if wanted == "count":
            with open(os.environ["CRASH_STEPS"], "a") as stream:  # noqa: PTH123
                stream.write(f"{key}:{number} {name}\n")
            return
    at, _, number_of = wanted.partition("#")
    which, _, sent = number_of.partition("#")
    if at != key or (which != str(number) and which != name):
        return
    if which == name and seen.setdefault(f"once {name}", 0):
        return
    seen[f"once {name}"] = 1
    if sent == "FILL":
        fill(Path(os.environ["CRASH_FILL"]))
        return
    for one in (sent or "KILL").split("+"):
        os.kill(os.getpid(), getattr(signal, f"SIG{one}"))


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with suppress(OSError), path.open("wb", buffering=0) as stream:
        for size in (1 << 16, 1 << 12, 1 << 8, 1):
            with suppress(OSError):
                while stream.write(bytes(size)):
                    pass


def wrap(point: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """``call`` with a step before and a step after."""

    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        name = next((str(a.kind) for a in args if hasattr(a, "kind") and hasattr(a, "ts")), "")
        name = name or next((a.name for a in args if isinstance(a, Path)), "-")
        step(point, "before", name)
        value = call(*args, **kwargs)
        step(point, "after", name)
        return value

    return wrapped


def replace(owner: Any, name: str, new: Callable[..., Any]) -> None:
    """Put ``new`` in its place, also where modules of ours have taken the old one by name."""
    old = getattr(owner, name)
    setattr(owner, name, new)
    for title, module in list(sys.modules.items()):
        if title.startswith("orchestr."):
            for known, value in list(vars(module).items()):
                if value is old:
                    setattr(module, known, new)


def stop_late(gates: Path) -> None:
    """Open the gates of the agents and wait for their end before an attempt is stopped."""
    from orchestr.supervisor import client

    stop = client.stop_attempt

    def late(folder: Path, **how: Any) -> Any:
        for gate in gates.glob("*.gate"):
            gate.unlink()
        while client.read_exit(folder) is None:
            time.sleep(0.02)
        return stop(folder, **how)

    client.stop_attempt = late


def main() -> int:
    """Wrap what is asked for, then be `orchestr`."""
    faulthandler.enable()
    wanted = sys.argv[1].split(":", maxsplit=1)[0]
    for point, place in POINTS.items():
        if wanted not in ("count", point):
            continue
        module, _, path = place.partition(":")
        owner: Any = importlib.import_module(module)
        *outer, name = path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        replace(owner, name, wrap(point, getattr(owner, name)))
    if "CRASH_LATE" in os.environ:
        stop_late(Path(os.environ["CRASH_LATE"]))
    from orchestr import cli

    words = sys.argv[2:]
    kept, sys.argv = sys.argv, [sys.argv[0], sys.argv[1], *words]
    try:
        return cli.main(words)
    finally:
        sys.argv = kept


if __name__ == "__main__":
    sys.exit(main())
