"""The worktree kit: what a repository wants linked, copied and done in each worktree (C22-C25).

Every command has a log of its own in the cell's folder, the limit `setup_timeout`, and its own
process group, ended as a whole. `setup-pending` is written before the worktree is added and removed
after the last command: whoever comes after a kill or a failure does the whole kit again.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.kit import expand_names
from orchestr.cell.worktree.ports import port_variables
from orchestr.cell.worktree.setup_baseline import read_contents, record_baseline
from orchestr.cell.worktree.setup_guard import guard_setup, is_setup_guarded
from orchestr.cell.worktree.wall import is_walled, wall_setup
from orchestr.errors import Interrupted, OrchestrError, Unavailable
from orchestr.files import read_json, write_json
from orchestr.git.repo import Repo
from orchestr.git.trace import trace_environment
from orchestr.git.worktrees import delete_tree
from orchestr.process.network_fault import is_network_away
from orchestr.process.run import ProcessFailed, ProcessTimeout, secret_values
from orchestr.process.run import run_command as run_process
from orchestr.process.tree import WORKTREE

PENDING = "setup-pending"  # in the cell's folder
FAILED = "/"  # in that file, where no path can be: it ended badly, but it ended
NETWORK_PAUSE = 2.0  # s before a command is tried again that had no network
HALF = ".orchestr-copy"  # what a copy is called until it is whole


def mark_setup_pending(ctx: CellContext, before: Mapping[str, str] | None = None) -> None:
    """Note that the worktree is not ready until `set_up_worktree` has ended well.

    ``before`` is what was uncommitted in it (`read_contents`), nothing in a new one.
    """
    write_json(ctx.dir / PENDING, dict(before or {}))


def is_setup_pending(ctx: CellContext) -> bool:
    """Whether a kill or a failure left the worktree without its whole kit."""
    return (ctx.dir / PENDING).exists()


def has_setup_failed(ctx: CellContext) -> bool:
    """Whether the last set-up ended badly, so that a person may have corrected something there."""
    return FAILED in _read_pending(ctx.dir / PENDING)


def set_up_worktree(ctx: CellContext) -> None:
    """Link and copy from the main checkout, then the repository's own set-up commands; what they
    change in tracked files is put back (`orchestr.cell.worktree.setup_baseline`).

    A missing source is passed over, an existing target is left alone. Raises
    PhaseFailed with the end of what a failing command said, Unavailable where it had no network
    or the machine ended it, Interrupted when stopped.
    """
    head = ctx.worktree_repo.require_head()
    if not is_setup_pending(ctx) or has_setup_failed(ctx):
        mark_setup_pending(ctx, read_contents(ctx))  # what is uncommitted now is not its set-up's
    before = _read_pending(ctx.dir / PENDING)
    try:
        with guard_setup(ctx, "setup") if ctx.repo_settings.setup else nullcontext():
            equip_worktree(ctx, ctx.worktree, ctx.dir)
    except OrchestrError:
        with suppress(OrchestrError):  # a person who looks into it finds it as its commit says
            record_baseline(ctx, head, before)
            mark_setup_pending(ctx, {FAILED: ""})
        raise
    record_baseline(ctx, head, before)
    (ctx.dir / PENDING).unlink(missing_ok=True)


def _read_pending(path: Path) -> dict[str, str]:
    """What was uncommitted when the set-up began; an earlier version of ours wrote nothing."""
    raw = read_json(path) if path.exists() and path.stat().st_size else None
    return raw if isinstance(raw, dict) else {}


def equip_worktree(ctx: CellContext, place: Path, logs: Path, kind: str = "agents") -> None:
    """The kit in any worktree of the cell's repository. ``kind`` says whose package caches its
    commands share in a sandbox. Raises as `set_up_worktree`."""
    settings = ctx.repo_settings
    for name in expand_names(settings.link, ctx.repo_path):
        source, target = ctx.repo_path / name, place / name
        if source.exists() and not target.exists() and not target.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source.resolve())
    for name in expand_names(settings.copy, ctx.repo_path):
        _copy_whole(ctx.repo_path / name, place / name)
    for number, command in enumerate(settings.setup, start=1):
        run_setup_command(ctx, "setup", number, command, place, logs, kind)


def run_teardown(ctx: CellContext) -> list[str]:
    """The repository's own commands before a removal; what failed, in words."""
    failed: list[str] = []
    if not ctx.repo_settings.teardown:
        return failed
    with _note_failure(failed), guard_setup(ctx, "teardown"):
        for number, command in enumerate(ctx.repo_settings.teardown, start=1):
            with _note_failure(failed):
                run_setup_command(ctx, "teardown", number, command, ctx.worktree, ctx.dir)
    return failed


@contextmanager
def _note_failure(failed: list[str]) -> Iterator[None]:
    try:
        yield
    except Interrupted:
        raise
    except OrchestrError as error:
        failed.append(f"{error.message}\n  hint: {error.hint}")


def _copy_whole(source: Path, target: Path) -> None:
    """A file or folder, whole or not at all."""
    if target.exists() or target.is_symlink() or not source.exists():
        return
    half = target.with_name(f"{target.name}{HALF}")
    if half.is_dir():
        shutil.rmtree(half)
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, half, symlinks=True)
    else:
        shutil.copy2(source, half)
    half.rename(target)


def run_setup_command(
    ctx: CellContext,
    what: str,
    number: int,
    command: str,
    place: Path,
    logs: Path,
    kind: str = "agents",
    least: float = 0.0,
) -> None:
    """Run a shell command of the repository in ``place``, its output in ``logs``. ``what`` names it
    in messages; it gets ``least`` seconds at least. Raises as `set_up_worktree`."""
    log = logs / f"{what}-{number}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    limit = max(least, ctx.repo_settings.setup_timeout or ctx.timeout)
    is_traced = is_setup_guarded(ctx, place) and not is_walled(ctx.run)  # inside it moves no ref
    behind = log.with_suffix(".wall")
    behind.mkdir(exist_ok=True)
    argv, env = wall_setup(
        ctx,
        ("sh", "-c", command),
        {
            **Repo(place).build_env(),
            **port_variables(ctx),
            WORKTREE: str(place),
            **ctx.mark_inside(f"{what} command {number}"),
            **(trace_environment(ctx.git_record) if is_traced else {}),
        },
        place=place,
        folder=behind,
        kind=kind,
    )
    raw = ctx.run.settings.workspace.raw_logs
    with log.open("wb", buffering=0) as stream:
        try:
            done = run_process(
                argv,
                cwd=place,
                env=env,
                timeout=limit,
                limit=1 << 20,
                sink=stream.write,
                secrets=None if raw else secret_values({**os.environ, **env}),
                stop=ctx.run.stop,
            )
        except OrchestrError as error:
            reason = error.reason.replace(shlex.join(argv), command)  # without the wall around it
            words = f"{what} command {number} failed: {reason}"
            hint = f"all that it said: {log}"
            after = _retry_after(error)
            if after is None:
                raise ctx.fail(words, hint=hint) from error
            raise Unavailable(words, hint=hint, cell=ctx.name, retry_after=after) from error
        finally:
            delete_tree(behind)
    if done.stopped:
        raise Interrupted(f"stopped during {what}", cell=ctx.name)


def _retry_after(error: OrchestrError) -> float | None:
    """Seconds until another try where the machine or the network made a command fail; else None."""
    if isinstance(error, Unavailable):
        return error.retry_after
    if not isinstance(error, ProcessFailed) or isinstance(error, ProcessTimeout):
        return None
    done = error.completed
    said = (done.err + done.out).decode("utf-8", "replace")
    away = done.code == -signal.SIGKILL or is_network_away(said)
    return NETWORK_PAUSE if away else None
