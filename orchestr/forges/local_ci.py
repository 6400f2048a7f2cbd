"""The CI of the local forge: `[forge] ci` runs once on each head, and on the tip of its base.

Owns when it runs and in what: a checkout of exactly the commit in a folder below the forge's root,
an environment without secrets, the sandbox where there is one (agents wrote the code), a time
limit, and the end of everything that it started. Leaves the results to `ci_results`, what it
prints to `ci_output`, whom it is run for to `local_facts`.

Three outcomes: exit 0 is success, a program that ran and ended otherwise (or not in time) is
failure. What the machine lacked (a program, a disk, the sandbox) is cancelled: nothing was found
out, so nothing is there to repair. It runs again a few times by itself.

What survives a crash: a lock of each commit is held while it runs, so two callers run it once. A
kill leaves the checkout, and perhaps the program; the next look ends and deletes both.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestr.errors import OrchestrError, explain_os_error
from orchestr.files import is_disk_full, write_json
from orchestr.forges.base import ForgeAway, RepoRef, WaitListener
from orchestr.forges.ci_output import CiOutput
from orchestr.forges.ci_results import (
    CiResult,
    drop_old_results,
    is_run_requested,
    read_result,
    write_result,
)
from orchestr.forges.depends_on import ORIGINS_FILE, read_depends_on
from orchestr.forges.followed import CheckState
from orchestr.git.export import export_commit
from orchestr.git.repo import Repo
from orchestr.git.worktrees import delete_tree
from orchestr.process.allowed_variables import ALLOWED, NETWORK, QUIET
from orchestr.process.file_lock import FlockLock
from orchestr.process.redaction import redact, secret_values
from orchestr.process.run import (
    CompletedCommand,
    ProcessTimeout,
    describe_exit_code,
    filter_env,
    kill_marked,
    run_command,
)
from orchestr.process.tree import MARKER
from orchestr.sandbox.wall import explain_broken_wall
from orchestr.state.journal import utc_timestamp

TIMEOUT = 600.0  # seconds for one run
JOBS = 2  # runs at once
NAMED = 4  # commits that a message names
TRIES = 3  # of a run that the machine was in the way of
NOT_RUN = (126, 127)  # of a shell: not executable, not found
KEPT = 1 << 16  # bytes of output that are looked at for what the sandbox says
POLL = 0.1  # seconds
ORIGINS = "origins.json"
# What is printed stands in the log in its order, and no line of one stream cuts one of the other.
IN_ONE_STREAM = 'exec 2>&1; eval "$1"'


@dataclass(frozen=True, slots=True)
class CiOrder:
    """A commit that CI is to have run on. ``folder`` is the repository's in the forge, ``objects``
    has the commit, ``origin`` is its folder where it is one. ``number`` and ``body`` are those of
    the pull request; None and empty for the tip of a base branch, which is ``branch`` then."""

    repo: RepoRef
    folder: Path
    objects: Repo
    sha: str
    branch: str
    base: str
    base_sha: str
    number: int | None = None
    body: str = ""
    origin: Path | None = None

    @property
    def results(self) -> Path:
        """Where its result is."""
        return self.folder / "ci"


@dataclass(frozen=True, slots=True)
class CiPlace:
    """The folders of one run: the checkout, one for the sandbox, and what else may be read."""

    tree: Path
    folder: Path
    read: tuple[Path, ...]


# Turns a command and its environment into those that run behind a wall. Raises SandboxError.
CiWall = Callable[
    [RepoRef, CiPlace, tuple[str, ...], Mapping[str, str]], tuple[tuple[str, ...], dict[str, str]]
]


class LocalCi:
    """Runs ``command`` (of `sh -c`) where it is missing; ``stop`` ends it, ``on_wait`` hears of the
    wait. ``timeout`` is in seconds. ``inside`` are the variables that make verbs for people refuse
    to work in it: agents wrote what it runs. ``locate`` names the folder of a repository's origin,
    empty where it is none: what a pull request depends on must be readable in it."""

    def __init__(
        self,
        command: str,
        *,
        wall: CiWall | None = None,
        stop: threading.Event | None = None,
        on_wait: WaitListener | None = None,
        timeout: float = TIMEOUT,
        inside: Mapping[str, str] | None = None,
        locate: Callable[[str], str] = lambda _: "",
    ) -> None:
        self.command = command
        self.timeout = timeout
        self._wall = wall
        self._stop = stop or threading.Event()
        self._on_wait = on_wait
        self._inside = dict(inside or {})
        self._locate = locate

    def is_missing(self, results: Path, result: CiResult | None) -> bool:
        """Whether CI has to run on a commit whose result this is."""
        if result is None or result.command != self.command:
            return True
        if result.is_machine_fault and result.tries < TRIES:
            return True
        return is_run_requested(results, result)

    def run_missing(self, orders: Sequence[CiOrder]) -> None:
        """Run what is missing, at most two at once, and keep the results.

        What was stopped has no result. Raises ForgeAway when one cannot be kept, after the others
        have ended.
        """
        orders = [
            order for order in orders
            if self.is_missing(order.results, read_result(order.results, order.sha))
        ]  # fmt: skip
        if not orders or self._stop.is_set():
            return
        for folder in {order.results for order in orders}:
            sweep_leftovers(folder)
        if self._on_wait is not None:
            names = ", ".join(f"{o.repo.name} {o.branch}" for o in orders[:NAMED])
            more = f" and {len(orders) - NAMED} more" if len(orders) > NAMED else ""
            reason = f"on {names}{more}, each for at most {self.timeout / 60:.0f} min"
            self._on_wait("local CI", reason, 0.0)
        halt = threading.Event()
        with ThreadPoolExecutor(JOBS, "local-ci") as pool:
            runs: list[Future[None]] = []
            try:
                runs = [pool.submit(self._run_locked, order, halt) for order in orders]
                while wait(runs, POLL).not_done:
                    if self._stop.is_set():
                        halt.set()
            except BaseException:  # Ctrl+C must not wait for programs
                halt.set()
                for run in runs:
                    run.cancel()
                raise
        for run in runs:
            run.result()

    def _run_locked(self, order: CiOrder, halt: threading.Event) -> None:
        """Run one under its lock, if it is missing still. Raises ForgeAway."""
        lock = FlockLock(_lock_file(order.results, order.sha))
        try:
            while not lock.try_acquire():  # another process runs it: it has the same time limit
                if halt.wait(POLL):
                    return
            try:
                old = read_result(order.results, order.sha)
                if not halt.is_set() and self.is_missing(order.results, old):
                    self._run_and_keep(order, old, halt)
            finally:
                _give_back(lock)
        except OSError as error:
            known = explain_os_error(error)
            words = known.reason if known is not None else str(error)
            raise ForgeAway(
                f"the result of CI on {order.repo.name} {order.sha[:12]} cannot be kept: {words}",
                hint=known.hint if known is not None else None,
            ) from error

    def _run_and_keep(self, order: CiOrder, old: CiResult | None, halt: threading.Event) -> None:
        work = _work_folder(order.results, order.sha)
        output, begin = CiOutput(), time.monotonic()
        _clear_work(work)
        try:
            outcome = self._run_in_checkout(order, work, output, halt)
        finally:
            _clear_work(work)
        if outcome is None:
            return
        log = output.finish_log() or f"{outcome.reason}\n".encode()
        again = old is not None and old.is_machine_fault and old.command == self.command
        result = CiResult(
            sha=order.sha,
            run=1 + (old.run if old is not None else 0),
            command=self.command,
            state=outcome.state,
            checks=output.judge_checks(outcome.state, outcome.reason),
            seconds=round(time.monotonic() - begin, 3),
            finished_at=utc_timestamp(),
            exit=outcome.exit,
            reason=outcome.reason,
            is_machine_fault=outcome.is_machine_fault,
            tries=1 + (old.tries if old is not None and again else 0),
        )
        write_result(order.results, result, log)
        drop_old_results(order.results)

    def _run_in_checkout(
        self, order: CiOrder, work: Path, output: CiOutput, halt: threading.Event
    ) -> CiOutcome | None:
        """What one run comes to; None when it was stopped."""
        secrets = secret_values(os.environ)
        try:
            tree, body = work / "tree", work / "body.md"
            base = {f"refs/remotes/origin/{order.base}": order.base_sha}
            export_commit(order.objects, order.sha, tree, refs=base, origin=order.origin)
            body.write_text(order.body, encoding="utf-8", errors="replace")
            argv: tuple[str, ...] = ("sh", "-c", IN_ONE_STREAM, "ci", self.command)
            origins = self._locate_siblings(order.body)
            write_json(body.with_name(ORIGINS), origins)
            env = build_ci_environment(os.environ, order, body) | self._inside
            if self._wall is not None:
                place = CiPlace(
                    tree,
                    work,
                    (
                        body,
                        body.with_name(ORIGINS),
                        order.objects.common_dir(),
                        *map(Path, origins.values()),
                    ),
                )
                argv, env = self._wall(order.repo, place, argv, env)
            done = run_command(
                argv, cwd=tree, env=env, timeout=self.timeout, check=False, limit=KEPT,
                kill_left=True, sink=output.add_output, secrets=secrets, stop=halt,
            )  # fmt: skip
        except ProcessTimeout as error:
            code = error.completed.code
            return CiOutcome(CheckState.FAILURE, f"timed out after {self.timeout:g} s", code)
        except OrchestrError as error:
            reason = redact(error.message, secrets)
            return CiOutcome(CheckState.CANCELLED, reason, is_machine_fault=True)
        except OSError as error:
            return CiOutcome(CheckState.CANCELLED, str(error), is_machine_fault=True)
        if done.stopped:
            return None
        named_red = any(c.state is CheckState.FAILURE for c in output.checks.values())
        return judge_end(done, named_red=named_red, is_full=is_disk_full(work))

    def _locate_siblings(self, body: str) -> dict[str, str]:
        """The origins of the repositories of this forge that a body's `Depends-On` lines name."""
        addresses, _ = read_depends_on(body)
        names = dict.fromkeys(a.repository for a in addresses if not a.host)
        found = {name: self._locate(name) for name in names}
        return {name: folder for name, folder in found.items() if folder}


@dataclass(frozen=True, slots=True)
class CiOutcome:
    """How a run ended, see `CiResult`."""

    state: CheckState
    reason: str = ""
    exit: int | None = None
    is_machine_fault: bool = False


def judge_end(done: CompletedCommand, *, named_red: bool, is_full: bool) -> CiOutcome:
    """What the end of a program says. ``named_red``: it named a check that is red; ``is_full``: the
    disk that it worked on has no room."""
    if done.code == 0:
        return CiOutcome(CheckState.SUCCESS, exit=0)
    reason = describe_exit_code(done.code)
    broken = explain_broken_wall(done.code, done.out, done.err)
    if broken is not None:
        return CiOutcome(CheckState.CANCELLED, broken, done.code, is_machine_fault=True)
    if is_full:
        words = f"{reason}, and the disk is full"
        return CiOutcome(CheckState.CANCELLED, words, done.code, is_machine_fault=True)
    if done.code in NOT_RUN and not named_red:
        words = f"{reason}: a program is missing, or may not be run"
        return CiOutcome(CheckState.CANCELLED, words, done.code)
    return CiOutcome(CheckState.FAILURE, reason, done.code)


def build_ci_environment(environ: Mapping[str, str], order: CiOrder, body: Path) -> dict[str, str]:
    """The variables that CI gets: those of every program of a workspace, and what it is run for."""
    more = {
        "CI": "true",
        MARKER: str(body.parent),
        "ORCHESTR_CI_REPO": order.repo.name,
        "ORCHESTR_CI_BRANCH": order.branch,
        "ORCHESTR_CI_BASE": order.base,
        "ORCHESTR_CI_PR": str(order.number or ""),
        "ORCHESTR_CI_SHA": order.sha,
        "ORCHESTR_CI_BODY_FILE": str(body),
        "ORCHESTR_CI_ORIGIN": str(order.origin or ""),
        ORIGINS_FILE: str(body.with_name(ORIGINS)),
    }
    return {**filter_env(environ, (*ALLOWED, *NETWORK)), **QUIET, **more}


def sweep_leftovers(results: Path) -> None:
    """Delete what runs left that were killed, and end what they left running."""
    names = {path.name for path in (results / "work").glob("*")}
    names |= {path.stem for path in results.glob("*.lock")}
    for name in sorted(names):
        lock = FlockLock(_lock_file(results, name))
        if lock.try_acquire():
            try:
                _clear_work(_work_folder(results, name))
            finally:
                _give_back(lock)


def _give_back(lock: FlockLock) -> None:
    """Release a lock whose file is of no use any more. Whoever waits for it makes a new file."""
    with suppress(OSError):
        lock.path.unlink()
    lock.release()


def _clear_work(work: Path) -> None:
    """End what works in a folder and delete it; what cannot be deleted is tried again later."""
    kill_marked(str(work))
    with suppress(OrchestrError, OSError):
        delete_tree(work)


def _work_folder(results: Path, sha: str) -> Path:
    return results.absolute() / "work" / sha


def _lock_file(results: Path, sha: str) -> Path:
    return results / f"{sha}.lock"
