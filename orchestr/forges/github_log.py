"""What of a GitHub Actions job's log says why it failed. Pure.

The log of a job is one text: each step begins with ``##[group]Run COMMAND``, what it printed
follows, and in one that failed stands ``##[error]Process completed with exit code 1.``
"""

from __future__ import annotations

import re

LOG_LIMIT = 200_000  # bytes of what is kept, its end
_TIME = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z ?", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_STEP = "##[group]Run "
_AFTER = ("Post job cleanup.", "Cleaning up orphan processes")
_ERROR = "##[error]"


def find_failed_part(log: str) -> str:
    """The steps that failed, each from its command to its last error, without times and colours.

    The whole log where no step says that it failed (the runner was lost, a time limit).
    """
    lines = _COLOUR.sub("", _TIME.sub("", log.replace("\r\n", "\n"))).split("\n")
    failed: list[str] = []
    step: list[str] = []
    for line in [*lines, _STEP]:
        if line.startswith((_STEP, *_AFTER)):
            last = max((n for n, each in enumerate(step) if each.startswith(_ERROR)), default=-1)
            failed += step[: last + 1]
            step = []
        step.append(line)
    return "\n".join(failed or lines).strip("\n")


def keep_end(text: str, limit: int = LOG_LIMIT) -> str:
    """The end of a text, at most ``limit`` bytes of it, from the beginning of a line."""
    data = text.encode()
    if len(data) <= limit:
        return text
    return data[-limit:].decode("utf-8", "ignore").partition("\n")[2]
