"""Which files red checks name: those of their failures, then those that their output names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestr.checks.base import CheckResult
from orchestr.checks.log_evidence import find_causal_paths
from orchestr.checks.room import log_tail

LOG_LINES, LOG_SIZE = 4000, 400_000  # of the end of a log in which files are looked for


def find_named_files(results: Sequence[CheckResult]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The files that red checks name, as `find_causal_paths`; what a failure is in comes first."""
    sure: list[str] = []
    every: list[str] = []
    for result in results:
        if not result.is_red:
            continue
        texts = [failure.message for failure in result.failures] or [result.detail]
        if result.log:
            texts.append(log_tail(Path(result.log), LOG_LINES, LOG_SIZE))
        files = [failure.file for failure in result.failures if failure.file]
        found = [find_causal_paths(text) for text in texts]
        sure += [*files, *(path for one, _ in found for path in one)]
        every += [*files, *(path for _, one in found for path in one)]
    return tuple(dict.fromkeys(sure)), tuple(dict.fromkeys(every))
