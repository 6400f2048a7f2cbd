"""Other people's text, made fit to be shown: nothing invisible, nothing that turns text around.

Escaping for HTML is jinja2's (autoescape is always on); this is what comes before it. Tabs and line
ends stay, escape sequences of terminals go, and what would hide or reorder text is shown by its
number instead: a diff must not read other than it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]"
)
_ODD = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)
LINK = re.compile(r"https?://[^\s<>\"'`\\]+", re.IGNORECASE)
_GOOD = ("pass", "passed", "approve", "approved", "accept", "accepted", "ok", "lgtm", "success")
_BAD = ("fail", "failed", "reject", "rejected", "block", "blocked", "changes_requested",
        "request_changes", "error", "needs_changes")  # fmt: skip


_ONLY_IF = ("cached", "stopped")  # worth a word only when it is so


def make_visible(text: object) -> str:
    """The text with everything in it to be seen; line ends are `\\n`."""
    plain = _ESCAPES.sub("", str(text).replace("\r\n", "\n"))
    return _ODD.sub(lambda m: f"‹U+{ord(m[0]):04X}›", plain)


def safe_link(url: str | None) -> str | None:
    """The address if a browser may follow it: http and https, nothing that runs."""
    return url if url and LINK.fullmatch(url) else None


@dataclass(frozen=True, slots=True)
class PageFinding:
    """One failure of a check or one remark of a reviewer."""

    heading: str
    message: str = ""
    command: str = ""
    severity: str = ""


@dataclass(frozen=True, slots=True)
class PageVerdict:
    """One item of `checks.json` or `review.json`; ``ok`` None: it does not say."""

    name: str
    kind: str = ""
    ok: bool | None = None
    detail: str = ""
    seconds: float | None = None
    findings: tuple[PageFinding, ...] = ()
    more: tuple[tuple[str, str], ...] = ()
    log: str = ""


def parse_verdict(fields: Mapping[str, Any], log: str = "") -> PageVerdict:
    """An item, whichever version wrote it: known names are understood, the others are shown."""
    left = {str(k): v for k, v in fields.items()}

    def take_text(*names: str) -> str:
        for name in names:
            if isinstance(left.get(name), str) and left[name].strip():
                return make_visible(left.pop(name))
        return ""

    ok, unavailable = _take_passed(left), left.pop("unavailable", False) is True
    name = take_text("name", "reviewer", "check", "agent", "title") or "unnamed"
    kind = take_text("kind", "type", "model")
    detail = take_text("detail", "summary", "reason", "text", "comment", "message")
    ok, detail = (None, f"not evaluated: {detail}") if unavailable else (ok, detail)
    seconds = left.pop("seconds", None)
    for name_ in ("log", "folder", "started_at"):
        left.pop(name_, None)
    findings: list[PageFinding] = []
    for key in [k for k, v in left.items() if isinstance(v, list | tuple) and v]:
        if all(isinstance(entry, Mapping) for entry in left[key]):
            findings += [_parse_finding(entry) for entry in left.pop(key)]
    left = {k: v for k, v in left.items() if not (v is False and k in _ONLY_IF)}
    kept = {k: v for k, v in left.items() if v not in (None, "", [], {}, ())}
    more = tuple((make_visible(k), _value_words(v)) for k, v in kept.items())
    number = seconds if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None
    log = make_visible(log)
    if any(f.message and f.message.strip() == log.strip() for f in findings):
        log = ""  # it stands there already
    return PageVerdict(name, kind, ok, detail, number, tuple(findings), more, log)


def _take_passed(left: dict[str, Any]) -> bool | None:
    for name in ("passed", "ok", "approved", "accepted"):
        if isinstance(left.get(name), bool):
            return bool(left.pop(name))
    for name in ("verdict", "decision", "result", "state"):
        word = str(left.get(name, "")).lower()
        if word in (*_GOOD, *_BAD):
            return word in _GOOD
    return None


def _parse_finding(entry: Mapping[str, Any]) -> PageFinding:
    left = dict(entry)

    def take_text(*names: str) -> str:
        for name in names:
            value = left.pop(name, None)
            if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
                return make_visible(value)
        return ""

    severity = take_text("severity", "level", "priority")
    what, file, line = (
        take_text("name", "title", "id"),
        take_text("file", "path"),
        take_text("line"),
    )
    place = f"{file}:{line}" if file and line else file
    heading = " · ".join(part for part in (what, place) if part)
    message = take_text("message", "body", "description", "detail", "error", "text", "comment")
    command = take_text("command", "execution_command")
    rest = [
        f"{make_visible(k)}: {_value_words(v)}"
        for k, v in left.items()
        if v not in (None, "", [], {})
    ]
    message = "\n".join(part for part in (message, *rest) if part)
    return PageFinding(heading or "finding", message, command, severity)


def _value_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(
            f"{make_visible(k)}: {_value_words(v)}" for k, v in list(value.items())[:50]
        )
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_value_words(v) for v in value[:50])
    return make_visible(value)
