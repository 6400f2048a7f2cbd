"""What of the log of a job of CI says why it failed. Pure.

At GitHub Actions the log of a job is one text: each step begins with ``##[group]Run COMMAND``,
what it printed follows, and in one that failed stands ``##[error]Process completed with exit code
1.`` At GitLab sections have names; what the job's own commands printed is in `step_script`.
"""

from __future__ import annotations

import re

LOG_LIMIT = 200_000  # bytes of what is kept, its end
_TIME = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z ?", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_STEP = "##[group]Run "
_AFTER = ("Post job cleanup.", "Cleaning up orphan processes")
_ERROR = "##[error]"
_SECTION = re.compile(r"section_(start|end):\d+:([\w.-]+)[^\r\n]*\r?")
_SCRIPT = ("step_script", "build_script")  # the second of runners before version 13


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


def find_gitlab_script(log: str) -> str:
    """What the commands of a GitLab job printed, and what the runner says at its end; the whole log
    where the job did not come so far. Without colours and marks of sections."""
    kept: list[str] = []
    inside: list[str] = []
    for line in log.replace("\r\n", "\n").split("\n"):
        marks = _SECTION.findall(line)
        for kind, name in marks:
            if name in _SCRIPT:
                inside = [*inside, name] if kind == "start" else []
        text = _COLOUR.sub("", _SECTION.sub("", line)).rpartition("\r")[2]
        if text and (inside or text.startswith("ERROR: ")):
            kept.append(text)
    if kept:
        return "\n".join(kept)
    return _COLOUR.sub("", _SECTION.sub("", log)).strip("\n")


def keep_end(text: str, limit: int = LOG_LIMIT) -> str:
    """The end of a text, at most ``limit`` bytes of it, from the beginning of a line."""
    data = text.encode()
    if len(data) <= limit:
        return text
    return data[-limit:].decode("utf-8", "ignore").partition("\n")[2]
