"""Running one check from start to result: what every kind shares around its verdict."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from orchestr.checks.base import (
    FAILURES,
    MESSAGE,
    CheckFailed,
    CheckRequest,
    CheckResult,
    CheckVerdict,
    Failure,
    clean_text,
)
from orchestr.checks.definition import CheckDefinition
from orchestr.checks.missing_program import can_change_provide
from orchestr.checks.missing_variable import judge_missing_variables
from orchestr.checks.room import CheckContext
from orchestr.errors import OrchestrError, Unavailable
from orchestr.files import is_disk_full
from orchestr.process.back_off import Backoff, as_unavailable
from orchestr.process.run import (
    CannotStart,
    ProcessTimeout,
    kill_marked,
    redact,
)

RETRIES = 2  # when the machine prevented a verdict
REFUSED = "Read-only file system"  # EROFS, in every program's words
OUTSIDE = (
    "it tried to write outside of its checkout and /tmp, which its sandbox does not allow: "
    "[sandbox] write in orchestr.toml"
)


class CheckRunner:
    """The frame around one check: the kind only decides (`CheckDefinition.run_and_judge`)."""

    def __init__(self, definition: CheckDefinition) -> None:
        self._definition = definition

    @property
    def definition(self) -> CheckDefinition:
        """What the spec said."""
        return self._definition

    def run(self, request: CheckRequest) -> CheckResult:
        """Run it in its frame; see `Check.run`."""
        begin, started_at = time.monotonic(), time.time()
        secrets = request.secrets
        verdict, waits = self._judge(request), Backoff()
        for _ in range(RETRIES):
            if verdict.retry_after is None:
                break
            fault = Unavailable(verdict.detail, retry_after=verdict.retry_after)
            if request.stop.wait(waits.next_after(fault)):
                break
            verdict = self._judge(request)
        stopped = request.stop.is_set() and not verdict.passed
        verdict = verdict if not stopped else CheckVerdict(False, "stopped before it ended")
        return CheckResult(
            name=self._definition.name,
            kind=self._definition.kind,
            passed=verdict.passed,
            detail=clean_text(redact(verdict.detail, secrets)),
            failures=tuple(_redact_failure(f, secrets) for f in verdict.failures[:FAILURES]),
            artefacts=verdict.artefacts,
            seconds=round(time.monotonic() - begin, 3),
            exit=verdict.exit,
            log=str(request.log),
            folder=str(request.artefacts),
            tests=verdict.tests,
            skipped=verdict.skipped,
            started_at=started_at,
            stopped=stopped,
            unavailable=verdict.unavailable,
        )

    def _judge(self, request: CheckRequest) -> CheckVerdict:
        """Run it once. Raises nothing: what goes wrong is in the verdict."""
        begin = time.monotonic()
        limit = request.timeout or self._definition.timeout
        room: CheckContext | None = None
        try:
            try:
                kill_marked(request.marker)
                room = CheckContext(request, self._definition, begin + limit, limit)
                verdict = self._definition.run_and_judge(room)
            except CannotStart as error:
                verdict = _judge_start_error(error, request, room)
        except CheckFailed as error:
            verdict = error.verdict
        except ProcessTimeout as error:
            verdict = CheckVerdict(False, f"timed out after {limit:g} s", exit=error.completed.code)
        except TimeoutError:
            verdict = CheckVerdict(False, f"timed out after {limit:g} s")
        except Exception as error:
            verdict = _judge_error(error)
        finally:
            if room is not None:
                room.close()
            kill_marked(request.marker)
        if room is not None and not verdict.passed:
            verdict = judge_missing_variables(verdict, request, self._definition, room.env)
            verdict = _judge_full_disk(verdict, room)
            verdict = _name_the_wall(verdict, room)
        return verdict


def _judge_error(error: Exception) -> CheckVerdict:
    """What was raised instead of a verdict: a machine's fault or one of ours is no verdict."""
    fault = as_unavailable(error)
    if fault is not None:
        return CheckVerdict(
            False, describe_error(fault), unavailable=True, retry_after=fault.retry_after
        )
    if isinstance(error, OrchestrError):
        return CheckVerdict(False, describe_error(error))
    # our own fault must not look like a pass, nor end the run
    words = f"cannot be judged: {type(error).__name__}: {error}"
    return CheckVerdict(False, words, unavailable=True)


def _name_the_wall(verdict: CheckVerdict, room: CheckContext) -> CheckVerdict:
    """Say where a red result may come from its sandbox; red it stays."""
    if room.request.wall is None or verdict.unavailable or REFUSED not in room.read_log_tail():
        return verdict
    return replace(verdict, detail=f"{verdict.detail} ({OUTSIDE})")


def _judge_full_disk(verdict: CheckVerdict, room: CheckContext) -> CheckVerdict:
    """Red on a disk without room says nothing of the code. The words of the output alone do not
    count: a test may be about them."""
    if verdict.unavailable:
        return verdict
    temporary = Path(room.env.get("TMPDIR") or tempfile.gettempdir())
    for place in (room.cwd, room.artefacts, temporary):
        if is_disk_full(place):
            words = f"no space left on the disk of {place} ({verdict.detail})"
            return replace(verdict, detail=words, unavailable=True)
    return verdict


def _judge_start_error(
    error: CannotStart, request: CheckRequest, room: CheckContext | None
) -> CheckVerdict:
    """A program that did not start: red where the change can provide it, else not evaluated."""
    cwd = room.cwd if room is not None else request.worktree
    ours = can_change_provide(error.program, request.worktree, cwd, error.errno)
    return CheckVerdict(False, describe_error(error), unavailable=not ours)


def describe_error(error: OrchestrError) -> str:
    """The message with its hint, for a result's detail."""
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _redact_failure(failure: Failure, secrets: Iterable[str]) -> Failure:
    hidden = frozenset(secrets)

    def clean_and_redact(text: str, limit: int) -> str:
        return clean_text(redact(text, hidden), limit)

    return Failure(
        clean_and_redact(failure.name, 500),
        clean_and_redact(failure.file, 500),
        clean_and_redact(failure.message, MESSAGE),
        clean_and_redact(failure.command, 2000),
    )
