"""All checks of a cell: run them in order, and say what is red.

All are run, also after a red one: a repair needs the whole picture. `run_suite` does, the rest is
pure. That the worktree is on the head that is named, and unchanged afterwards, is the caller's.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestr.checks import make_check
from orchestr.checks.base import CheckRequest, CheckResult, CommandWall, Failure
from orchestr.checks.cache import IN_WORKTREE, ResultCache, cache_key
from orchestr.checks.room import log_tail
from orchestr.process.file_lock import NoFileLocks
from orchestr.spec.checks import CheckDef
from orchestr.state.host_turn import hold_host_turn

SHORT = 2000  # characters of a message where all failures are listed
ONLY_THIS = (
    "Repair this one alone, and see by the command above that it is right: do not run the whole "
    "suite. All checks run afterwards without you."
)
LISTED = 30  # failures that are listed with their messages

Slot = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class SuiteRequest:
    """Where and on what a cell's checks run.

    ``tree`` is the hash of the head's tree (for the cache). ``env`` is the allow-listed
    environment of every check; of ``environ``, the user's, a check gets what its ``pass_env``
    names. ``places`` says where a check is defined, by its name, ``wall`` what stands around its
    programs. ``folder`` takes logs and artefacts: ``NNN-name.log`` and ``NNN-name/``; with
    ``raw_logs`` a log keeps its secrets.
    ``place`` is the kind of place that ``worktree`` is, for the cache; a result is kept only when
    ``is_unchanged`` says afterwards that the worktree still shows the head, so that no kill leaves
    a result that is worth nothing. ``read_inputs`` gives what stands for ``tree`` where a check
    names what it ``reads``; None: that is not looked at. ``shown_as`` is the path that results name
    instead of ``worktree``: where their reader can change something. ``base`` is the commit that
    the change starts from, empty where there is none. ``owner`` names whose checks they are for
    those who wait for an exclusive one; ``tell_wait`` is called with what one of these waits for,
    and with None when it goes on.
    """

    worktree: Path
    head: str
    tree: str
    folder: Path
    marker: str
    env: Mapping[str, str]
    environ: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    stop: threading.Event = field(default_factory=threading.Event)
    places: Mapping[str, str] = field(default_factory=dict)
    raw_logs: bool = False
    wall: CommandWall | None = None
    place: str = IN_WORKTREE
    shown_as: Path | None = None
    is_unchanged: Callable[[], bool] = lambda: True
    read_inputs: Callable[[tuple[str, ...]], str] | None = None
    base: str = ""
    owner: str = "a check"
    tell_wait: Callable[[str | None], None] = lambda _: None

    def rename_paths(self, text: str) -> str:
        """``text`` with ``shown_as`` for ``worktree``, also where that is written without links."""
        if self.shown_as is None:
            return text
        shown = str(self.shown_as)
        for path in dict.fromkeys((str(self.worktree), str(self.worktree.resolve()))):
            text = re.sub(rf"{re.escape(path)}(?![\w-]|\.\w)", lambda _: shown, text)
        return text


def run_suite(
    checks: Sequence[CheckDef],
    request: SuiteRequest,
    *,
    cache: ResultCache | None = None,
    slot: Slot = nullcontext,
    listener: Callable[[CheckResult], None] | None = None,
) -> tuple[CheckResult, ...]:
    """The results in the order of ``checks``. ``slot`` is held while one check runs, and this
    host's turn by one that is exclusive; its time limit begins when it has both.

    When the run is stopped, the results end with the stopped one; Interrupted is raised when that
    comes while one waits.
    """
    results: list[CheckResult] = []
    for number, check in enumerate(checks, start=1):
        if request.stop.is_set():
            break
        result = _run_one_check(check, number, request, cache, slot)
        results.append(result)
        if listener is not None:
            listener(result)
        if result.stopped:
            break
    return tuple(results)


def result_key(check: CheckDef, request: SuiteRequest) -> str:
    """Under which a result of the check is kept: the whole tree counts, or what it reads of it."""
    inputs = request.tree
    if check.reads and request.read_inputs is not None:
        inputs = request.read_inputs(check.reads)
    if check.needs_base:
        inputs = f"{inputs} since {request.base}"
    return cache_key(check, inputs, request.environ, request.place)


def _run_one_check(
    check: CheckDef, number: int, request: SuiteRequest, cache: ResultCache | None, slot: Slot
) -> CheckResult:
    key = result_key(check, request)
    known = cache.load(key) if cache is not None else None
    if known is not None:
        return replace(known, name=check.name)
    passed_on = {n: request.environ[n] for n in check.pass_env if n in request.environ}
    place = request.folder / f"{number:03d}-{file_name_slug(check.name)}"
    with ExitStack() as held:
        if check.exclusive:  # first: who waits for a turn keeps no slot from others
            refused = _take_turn(check, request, held)
            if refused is not None:
                return refused
        held.enter_context(slot())
        result = make_check(check).run(
            CheckRequest(
                worktree=request.worktree,
                head=request.head,
                env={**request.env, **passed_on},
                log=place.with_name(f"{place.name}.log"),
                artefacts=place,
                marker=request.marker,
                ports=request.ports,
                base=request.base,
                stop=request.stop,
                environ=request.environ,
                place=request.places.get(check.name, ""),
                raw_log=request.raw_logs,
                wall=request.wall,
            )
        )
    result = replace(result, in_worktree=request.place == IN_WORKTREE)
    if request.shown_as is not None:
        result = _rename_result(result, request.rename_paths)
    if cache is not None and result.passed and request.is_unchanged():
        cache.save(key, result)
    return result


def _take_turn(check: CheckDef, request: SuiteRequest, held: ExitStack) -> CheckResult | None:
    """Hold this host's turn of exclusive checks; a result where it has no such thing."""
    holder = f"{request.owner}, check {check.name}"
    try:
        held.enter_context(hold_host_turn(holder, request.stop, request.tell_wait))
    except (NoFileLocks, OSError) as error:
        words = f"it cannot run alone on this host: {error}"
        return CheckResult(check.name, str(check.kind), False, words, unavailable=True)
    return None


def _rename_result(result: CheckResult, rename: Callable[[str], str]) -> CheckResult:
    """The result with renamed paths. Its log stays as it is."""
    failures = tuple(
        Failure(rename(f.name), rename(f.file), rename(f.message), rename(f.command))
        for f in result.failures
    )
    return replace(result, detail=rename(result.detail), failures=failures)


def file_name_slug(name: str) -> str:
    """A name as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "check"


def all_passed(results: Iterable[CheckResult]) -> bool:
    """Whether nothing is red; no checks at all is not red."""
    return all(result.passed for result in results)


def list_failures(results: Iterable[CheckResult]) -> list[tuple[CheckResult, Failure]]:
    """Every failure with its check; a red check that names none counts as one itself.

    A check that was not evaluated has none: there is nothing that an author could repair.
    """
    found: list[tuple[CheckResult, Failure]] = []
    for result in results:
        if result.is_red:
            named = result.failures or (Failure(result.name, message=result.detail),)
            found += [(result, failure) for failure in named]
    return found


def failure_key(results: Iterable[CheckResult]) -> str:
    """A digest of which things fail, to see whether a repair changed anything.

    Messages do not count: they hold times, addresses and temporary folders.
    """
    names = sorted(f"{r.name}\0{f.name}\0{f.file}" for r, f in list_failures(results))
    return hashlib.sha256(json.dumps(names).encode("ascii")).hexdigest()[:20]


def summarize_results(results: Sequence[CheckResult]) -> str:
    """One line for people: ``2 of 3 checks passed; red: unit (1 failed)``."""
    if not results:
        return "no checks"
    good = sum(result.passed for result in results)
    text = f"{good} of {len(results)} checks passed"
    red = _name_results(result for result in results if result.is_red)
    missing = _name_results(result for result in results if result.unavailable)
    text += f"; red: {red}" if red else ""
    return text + (f"; not evaluated: {missing}" if missing else "")


def _name_results(results: Iterable[CheckResult]) -> str:
    return ", ".join(f"{result.name} ({_first_line(result.detail)})" for result in results)


def evidence_text(
    results: Sequence[CheckResult],
    focus: int | None = None,
    rename: Callable[[str], str] = lambda text: text,
) -> str:
    """What a repair prompt says of the red checks.

    With ``focus`` one failure is shown in full, by its index in `list_failures`: name, file,
    message, the command that reproduces it, the end of the log; the others only by name. Without
    it all are shown. Empty when nothing is red. ``rename`` is applied to what comes from a log.
    """
    found = list_failures(results)
    if not found:
        return ""
    if focus is None:
        return _render_all_failures(found)
    focus = min(focus, len(found) - 1)
    result, failure = found[focus]
    lines = [_failure_heading(result, failure), *_failure_lines(failure, None)]
    if failure.command and failure.name != result.name:
        lines += ["", ONLY_THIS]
    tail = rename(log_tail(Path(result.log))) if result.log else ""
    if tail and tail not in failure.message:
        lines += ["", f"End of the output of check {result.name}:", "", _fence_text(tail)]
    others = [_failure_heading(r, f) for i, (r, f) in enumerate(found) if i != focus]
    if others:
        rest = f"\n- and {len(others) - LISTED} more" if len(others) > LISTED else ""
        names = "\n".join(f"- {line}" for line in others[:LISTED])
        lines += ["", f"{len(others)} more fail; leave them for now:", f"{names}{rest}"]
    return "\n".join(lines) + "\n"


def _render_all_failures(found: list[tuple[CheckResult, Failure]]) -> str:
    parts = []
    for result, failure in found[:LISTED]:
        parts.append(
            "\n".join([f"## {_failure_heading(result, failure)}", *_failure_lines(failure, SHORT)])
        )
    if len(found) > LISTED:
        parts.append(f"... and {len(found) - LISTED} more")
    return "\n\n".join(parts) + "\n"


def _failure_heading(result: CheckResult, failure: Failure) -> str:
    what = failure.name if failure.name != result.name else _first_line(result.detail)
    return f"check {result.name} ({result.kind}): {_first_line(what)}"


def _failure_lines(failure: Failure, limit: int | None) -> list[str]:
    lines = []
    if failure.file:
        lines.append(f"File: {failure.file}")
    if failure.command:
        lines.append(f"Reproduce with: {failure.command}")
    message = failure.message.strip()
    if message:
        cut = message if limit is None or len(message) <= limit else f"...{message[-limit:]}"
        lines += ["", _fence_text(cut)]
    return lines


def _fence_text(text: str) -> str:
    """In a fence that nothing inside can close."""
    runs = [len(run) for run in re.findall(r"`+", text)]
    fence = "`" * max(3, 1 + max(runs, default=0))
    return f"{fence}\n{text}\n{fence}"


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= 200 else line[:197] + "..."
