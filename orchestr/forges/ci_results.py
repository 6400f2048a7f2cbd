"""What the local CI found out about each commit: ``<repo>/ci/<sha>.json``, its log beside it.

Owns the files. The result is written after the run and after its log, so a kill in the middle
leaves none, and it runs again. `<sha>.rerun` asks for another run of the one that it names: a
request that was carried out does nothing more, also when a kill left it there.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from orchestr.codec import InvalidRecord, Record, decode, read_json_record, write_json_record
from orchestr.errors import CorruptState
from orchestr.files import read_file, read_json, write_atomic, write_json
from orchestr.forges.base import ForgeError
from orchestr.forges.ci_output import select_log
from orchestr.forges.followed import CheckState, CiCheck

LOG = 200_000  # characters of a log that are handed out
KEPT = 200  # results of each repository, the newest
_ID = re.compile(r"([0-9a-f]{40,64}):(\d{1,9}):(.*)", re.DOTALL)


class CiResult(Record, frozen=True):
    """The result of one run; ``run`` counts the runs on this commit, from 1.

    ``state`` is that of the run itself: success, failure, or cancelled where nothing was found out
    (``reason`` says why); ``is_machine_fault``: it may go well by itself, and ``tries`` counts how
    often it did not. ``command`` is what was run: a result of another one is none. ``seconds`` is
    how long it took, ``finished_at`` ISO-8601.
    """

    sha: str
    run: int
    command: str
    state: CheckState
    checks: tuple[CiCheck, ...]
    seconds: float
    finished_at: str
    exit: int | None = None
    reason: str = ""
    is_machine_fault: bool = False
    tries: int = 1


def log_file(folder: Path, sha: str) -> Path:
    """The log of the newest run on a commit; ``folder`` is the repository's `ci`."""
    return folder / f"{sha}.log"


def read_result(folder: Path, sha: str) -> CiResult | None:
    """The newest result; None when there is none, or none that can be read."""
    return read_json_record(folder / f"{sha}.json", CiResult)


def write_result(folder: Path, result: CiResult, log: bytes) -> None:
    """Keep a result, its log first; then the request for it is carried out. Raises OSError."""
    write_atomic(log_file(folder, result.sha), log, durable=False)
    write_json_record(folder / f"{result.sha}.json", result)
    _request_file(folder, result.sha).unlink(missing_ok=True)


def request_run(folder: Path, result: CiResult) -> None:
    """Ask for another run after this one. Raises OSError."""
    write_json(_request_file(folder, result.sha), {"run": result.run})


def is_run_requested(folder: Path, result: CiResult) -> bool:
    """Whether another run was asked for that did not take place yet."""
    try:
        asked = read_json(_request_file(folder, result.sha))
        return asked is not None and decode(asked, dict[str, int]).get("run", 0) >= result.run
    except (CorruptState, InvalidRecord):
        return True  # a person asked


def drop_old_results(folder: Path) -> None:
    """Delete all but the newest results and their logs."""
    found = sorted(folder.glob("*.json"), key=_age, reverse=True)
    for path in found[KEPT:]:
        for name in (".json", ".log", ".rerun"):
            with suppress(OSError):
                path.with_suffix(name).unlink()


def name_checks(folder: Path, result: CiResult) -> tuple[CiCheck, ...]:
    """The checks of a result as they are shown: with an id, and the address of their log."""
    url = log_file(folder, result.sha).absolute().as_uri()
    return tuple(
        CiCheck(
            name=check.name,
            state=check.state,
            url=url,
            id=f"{result.sha}:{result.run}:{check.name}",
            summary=check.summary,
            annotations=check.annotations,
        )
        for check in result.checks
    )


def parse_check_id(check: CiCheck) -> tuple[str, int, str]:
    """Commit, run and name in the id of a check of ours. Raises ForgeError."""
    found = _ID.fullmatch(check.id)
    if found is None:
        raise ForgeError(f"check {check.name} is not one of the local CI")
    return found[1], int(found[2]), found[3]


def read_log(folder: Path, check: CiCheck) -> str:
    """The end of what led to a check; empty when its log is gone."""
    sha, _, name = parse_check_id(check)
    try:
        data = read_file(log_file(folder, sha))
    except OSError:
        return ""
    return select_log(data.decode("utf-8", "replace"), name)[-LOG:]


def _request_file(folder: Path, sha: str) -> Path:
    return folder / f"{sha}.rerun"


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
