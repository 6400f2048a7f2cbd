"""What the log of a red check says: its causal part, the places it names, its signature. Pure.

Causes come from the tool's own output: annotations, file names in traces, names that a compiler
quotes. What the output does not name is not guessed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache

LONGEST = 6_000  # characters of a log that an agent gets
LONGEST_LINE = 2_000  # characters of a line in which paths are looked for
AROUND = 12  # lines before a line that names an error
_ERROR = re.compile(
    r"\b(?:error|failed|failure|fatal|exception|panic|traceback|assert\w*|undefined|unresolved"
    r"|cannot find|not found|no such|no module named|expected)\b|^E\s|##\[error\]|::error",
    re.IGNORECASE,
)
# The colours of a terminal, the clock that GitHub puts before each line, the marks of groups.
_NOISE = re.compile(
    r"\x1b\[[0-9;?]*[A-Za-z]|^\d{4}-\d\d-\d\dT[\d:.]+Z ?|##\[[a-z]+\]", re.MULTILINE
)
# A path with a folder or a suffix: `src/app.py:12`, `File "x.py", line 3`, `main.go:4:2`.
_PATH = re.compile(
    r"(?<![\w./@+-])(/?(?:[\w.@+-]+/)*[\w.@+-]+\.[A-Za-z]\w{0,9})(?=[:\s\"'),\]#]|$)"
)
_PLACE = re.compile(r"\.[A-Za-z]\w{0,9}(?::\d|\(\d|['\"],? line \d)")
# What a runner of tests says of what passed: `a.py ..s [ 50%]`, `a.py::test PASSED`, `ok pkg 0.1s`.
_PASSED = re.compile(
    r"\bPASS(?:ED)?\b|^\s*(?:ok|\u2713|\u2714)\s|\bok$|^[\w./@+-]+\s+[.sx]+(?:\s+\[ *\d+%\])?$"
)
_QUOTED = re.compile(r"[`'\"‘“]([A-Za-z_][\w.:$]{2,80})[`'\"’”]")
_NAMED = re.compile(
    r"(?:undefined|unresolved reference|cannot find symbol|undeclared|no module named|unknown"
    r" (?:field|name|import)|is not defined|symbol:\s*\w+)[: ]+[`'\"]?([A-Za-z_][\w.]{2,80})",
    re.IGNORECASE,
)
# What differs between two runs of the same failure: numbers, addresses, times, folders.
_VARYING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{7,64}\b|\d+|/(?:tmp|home|runner|github)\S*", re.I)


@lru_cache(maxsize=4)
def clean_log(text: str) -> str:
    """A log without colours, clocks and marks, its lines without trailing blanks. Kept, because
    cause, signature, paths and names are read from the same log one after the other."""
    lines = _NOISE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def find_causal_part(log: str, longest: int = LONGEST) -> str:
    """The lines around the first errors and the end of the log, in at most ``longest`` characters.

    The first error is most often the cause; the end is what the tool says of the whole.
    """
    text = clean_log(log)
    if len(text) <= longest:
        return text
    lines = text.split("\n")
    first = next((n for n, line in enumerate(lines) if _ERROR.search(line)), None)
    if first is None:
        return _take_tail(text, longest)
    end = _take_tail(text, longest // 3)
    start = max(0, first - AROUND)
    head = "\n".join(lines[start:])[: longest - len(end) - 20]
    return f"{head}\n[…]\n{end}"


def _take_tail(text: str, longest: int) -> str:
    """The end of a text, from the begin of a line where it has one."""
    tail = text[-longest:]
    return tail.partition("\n")[2] or tail


def sign_failure(name: str, log: str, noted: Iterable[str] = ()) -> str:
    """A short name of a failure that stays the same when it happens again: of the check's name, the
    lines that name an error, without what varies, and the paths of its annotations (``noted``)."""
    red = [line for line in clean_log(log).split("\n") if _ERROR.search(line)]
    words = [_VARYING.sub("#", line).strip().lower() for line in red[:20]]
    text = "\n".join((name, *words, *noted))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def find_paths(log: str, noted: Iterable[str] = ()) -> tuple[str, ...]:
    """The files that a check names, in the order in which it does; those of annotations
    (``noted``) first."""
    return _list_paths(noted, clean_log(log).split("\n"))


def find_causal_paths(log: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The files that lines about an error name, or places in a file (`a.py:3`, `File "a.py", line
    3`); then those that the other lines name. What only lists what passed is left out: a runner of
    tests names every file that it looks at. So is the command itself (`$ make test`)."""
    short = (line[:LONGEST_LINE] for line in clean_log(log).split("\n"))
    lines = [line for line in short if not (line.startswith("$ ") or _PASSED.search(line))]
    sure = [line for line in lines if _ERROR.search(line) or _PLACE.search(line)]
    return _list_paths((), sure), _list_paths((), lines)


def _list_paths(noted: Iterable[str], lines: Iterable[str]) -> tuple[str, ...]:
    found = list(noted)
    for line in lines:
        found += [match[1].removeprefix("./") for match in _PATH.finditer(line[:LONGEST_LINE])]
    return tuple(dict.fromkeys(found))


def find_missing_names(log: str) -> tuple[str, ...]:
    """The names that lines about an error quote: what a compiler or an interpreter misses."""
    found: list[str] = []
    for line in clean_log(log).split("\n"):
        if _ERROR.search(line):
            found += [match[1] for match in _NAMED.finditer(line)]
            found += [match[1] for match in _QUOTED.finditer(line)]
    return tuple(dict.fromkeys(name.strip(".:") for name in found))


def match_changed_paths(named: Iterable[str], changed: Iterable[str]) -> tuple[str, ...]:
    """Which of the ``changed`` paths of a repository a log names: the whole path, or the end of a
    longer one (`/home/runner/work/app/app/src/x.py`); of several the longest."""
    every = tuple(changed)
    found = set()
    for name in named:
        ends = [path for path in every if name == path or name.endswith(f"/{path}")]
        found |= {max(ends, key=len)} if ends else set()
    return tuple(path for path in every if path in found)
