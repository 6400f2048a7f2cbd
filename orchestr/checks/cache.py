"""Results of checks that need not run again: same tree, check, environment and kind of place.

One file a result under ``<state>/cache/checks/``. Only what passed is kept: red is always seen
afresh. An entry that cannot be read, that was changed, or whose evidence is gone counts as none.
Nothing here is truth; the folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestr.checks.base import CheckResult
from orchestr.codec import decode, encode
from orchestr.files import read_file, write_atomic
from orchestr.spec.checks import CheckDef, check_to_row

SCHEMA = 1
IN_WORKTREE = "worktree"  # the place of checks that run where the author worked


def definition_digest(check: CheckDef) -> str:
    """A stable digest of what a check does; its name and time limit do not count, nor when it runs
    and what the report says that it shows."""
    row = check_to_row(replace(check, name="", timeout=1.0, exclusive=False, shows=()))
    return _digest_json([SCHEMA, check.verdict_version, row])


def cache_key(
    check: CheckDef, tree: str, environ: Mapping[str, str], place: str = IN_WORKTREE
) -> str:
    """What a result depends on: the head's tree, the check, the variables that it names, and the
    kind of ``place`` it was made in: what was found in an author's worktree is known there only."""
    named = [[name, environ.get(name)] for name in sorted(set(check.pass_env))]
    # Without a place: as earlier versions wrote it, whose checks ran in the author's worktree.
    where = [] if place == IN_WORKTREE else [place]
    return _digest_json([*where, tree, definition_digest(check), named])


class ResultCache:
    """The results in one folder (``<state>/cache/checks``)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, key: str) -> CheckResult | None:
        """The result of an earlier run, marked ``cached``, or None."""
        try:
            head, _, body = read_file(self._entry_path(key)).partition(b"\n")
            if head.decode("ascii") != f"{key} {hashlib.sha256(body).hexdigest()}":
                return None
            result = result_from_dict(json.loads(body))
        except (OSError, ValueError, RecursionError):
            return None
        evidence = [Path(result.log), *(Path(result.folder, name) for name in result.artefacts)]
        if not result.passed or not all(path.is_file() for path in evidence):
            return None
        return replace(result, cached=True)

    def save(self, key: str, result: CheckResult) -> None:
        """Keep a result if it passed. A full disk costs a run later, nothing else."""
        if not result.passed or result.cached:
            return
        body = json.dumps(result_as_dict(result), separators=(",", ":")).encode("ascii")
        head = f"{key} {hashlib.sha256(body).hexdigest()}\n".encode("ascii")
        with suppress(OSError):
            write_atomic(self._entry_path(key), head + body)

    def forget_result(self, key: str) -> None:
        """Forget a result: what ran beside it makes it worth nothing."""
        with suppress(OSError):
            self._entry_path(key).unlink(missing_ok=True)

    def _entry_path(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def result_as_dict(result: CheckResult) -> dict[str, Any]:
    """A result as JSON values, for evidence files."""
    return encode(result)


def result_from_dict(row: Mapping[str, Any]) -> CheckResult:
    """The result that `result_as_dict` wrote. Raises InvalidRecord for others."""
    return decode(row, CheckResult)


def _digest_json(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
