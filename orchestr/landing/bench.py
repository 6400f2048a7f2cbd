"""Where candidates are checked: warm worktrees of our own, and the default check.

One worktree a repository and check at once, `<state>/landing/<repo>/<n>`, kept from one landing to
the next: moving a warm one takes a tenth of a second, making one takes ten (git-facts). What is
ignored stays there (caches); everything else is put to exactly the candidate's tree first. Nobody
works in them, so a half-done checkout or merge of a killed process is simply written over (E36).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestr.cell.leftovers import abort_operations, operation
from orchestr.config import Settings
from orchestr.errors import OrchestrError
from orchestr.git import CommitId, Repo
from orchestr.gitworktree import Finding, add_detached, clear_stale_locks, validate_worktree
from orchestr.landing.records import Change
from orchestr.process import ProcessTimeout
from orchestr.process import run as run_process

TAIL = 1500  # characters of a red check's output that go into its evidence


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The verdict on one candidate; ``detail`` is the evidence when it is red, else a note."""

    green: bool
    detail: str = ""


Check = Callable[[str, Path, str, tuple[Change, ...]], CheckResult]


def show(repo: Repo, path: Path, commit: CommitId, *, locks: Path) -> Repo:
    """The worktree at ``path``, showing exactly ``commit``. Raises GitError, WorktreeRefused."""
    verdict = validate_worktree(repo, path, None)
    if verdict.finding not in (Finding.OK, Finding.WRONG_BRANCH):
        add_detached(repo, path, commit, locks=locks)
    tree = repo.at(path)
    clear_stale_locks(path)
    if operation(tree) is not None:
        abort_operations(tree)
    tree.without_lfs().run("checkout", "--quiet", "--force", "--detach", commit, "--")
    tree.run("clean", "-d", "--force", "--quiet")
    if tree.head() != commit or tree.dirty():
        raise OrchestrError(
            f"{path} does not show {commit[:12]}, but {', '.join(tree.dirty()[:3]) or 'another'}",
            hint=f"git -C {repo.path} worktree remove --force {path}",
        )
    return tree


def default_check(settings: Settings) -> Check:
    """The repository's `land_checks`, one after the other; without any it passes with a note."""

    def check(name: str, worktree: Path, commit: str, changes: tuple[Change, ...]) -> CheckResult:
        commands = settings.repo(name).land_checks
        if not commands:
            return CheckResult(True, f"no checks are set for {name}: [repos.{name}] land_checks")
        logs = worktree.parent / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        for number, command in enumerate(commands, start=1):
            log = logs / f"{commit[:16]}-{number}.log"
            why = _run(command, worktree, settings.limits.timeout, log)
            if why is not None:
                return CheckResult(False, f"`{command}` {why}")
        return CheckResult(True, f"{len(commands)} checks")

    return check


def _run(command: str, worktree: Path, timeout: float, log: Path) -> str | None:
    """Why a check command is red, None when it is green."""
    try:
        done = run_process(["sh", "-c", f"exec 2>&1\n{command}"], cwd=worktree,
                           env=Repo(worktree).env(), timeout=timeout, check=False,
                           kill_left=True)  # fmt: skip
    except ProcessTimeout as error:
        with suppress(OSError):
            log.write_bytes(error.completed.out)
        return f"took longer than {timeout:g} s"
    except OrchestrError as error:
        return error.message
    with suppress(OSError):
        log.write_bytes(done.out)
    if done.code == 0:
        return None
    return f"ended with {done.code} (log: {log})\n{done.text.strip()[-TAIL:]}"


def parts(changes: Sequence[Change]) -> str:
    """The changes by name, for people."""
    return ", ".join(change.key.replace("/", ":") for change in changes)
