"""Until when a usage limit holds, in the words of the providers. What is one says `trouble`.

Pure. Agents print the time of a reset in the local time zone, or name its zone behind it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, timedelta

from orchestr.agents.events import UsageLimit
from orchestr.agents.trouble import Trouble, find_trouble

_EPOCH = re.compile(r"\|(\d{10})(?:\d{3})?\b")
_STAMP = re.compile(
    r"([A-Z][a-z]{2,8}) (\d{1,2})(?:st|nd|rd|th)?,?"
    r" (?:(\d{4}),? )?(?:at )?(\d{1,2})(?::(\d{2}))?\s*([ap]m)",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(?:at|resets(?: at)?) (\d{1,2})(?::(\d{2}))?\s*([ap]m)", re.IGNORECASE)
_ZONE = re.compile(r"[ap]m \(([A-Za-z_]+(?:/[A-Za-z_]+)*)\)", re.IGNORECASE)
_SPAN = re.compile(
    r"(?:in|after|for|retryDelay\W{1,4})\s?((?:\d+(?:\.\d+)?\s*[a-z]+[,\s]*(?:and )?)+)",
    re.IGNORECASE,
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)
_UNITS = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hour": 3600, "d": 86400,
          "day": 86400, "second": 1, "minute": 60, "w": 604800, "week": 604800}  # fmt: skip


def find_limit(text: str, now: datetime, kind: str = "") -> UsageLimit | None:
    """The limit that an error of an agent of ``kind`` reports, else None. ``now`` has a time zone:
    the agent's."""
    if find_trouble(text, kind) is not Trouble.LIMIT:
        return None
    return UsageLimit(reset_time(text, now), " ".join(text.split())[:200])


def reset_time(text: str, now: datetime) -> float | None:
    """Unix time of the reset that a text names, None if it names none.

    Times without seconds are rounded up to the end of their minute; a time of day, or a date
    without its year, is the next such time.
    """
    zone = _ZONE.search(text)
    if zone:
        with suppress(KeyError, ValueError, OSError):  # no such zone: the local one
            from zoneinfo import ZoneInfo  # few texts name one, and every command comes by here

            now = now.astimezone(ZoneInfo(zone[1]))
    found = _EPOCH.search(text)
    if found:
        return float(found[1])
    with suppress(ValueError, OverflowError):
        found = _STAMP.search(text)
        if found:
            month = datetime.strptime(found[1][:3], "%b").month
            hour = int(found[4]) % 12 + (12 if found[6].lower() == "pm" else 0)
            at = now.replace(
                year=int(found[3] or now.year), month=month, day=int(found[2]), hour=hour,
                minute=int(found[5] or 0), second=0, microsecond=0,
            )  # fmt: skip
            if not found[3] and at < now - timedelta(days=180):
                at = at.replace(year=at.year + 1)
            return at.timestamp() + 60
        found = _CLOCK.search(text)
        if found:
            hour = int(found[1]) % 12 + (12 if found[3].lower() == "pm" else 0)
            at = now.replace(hour=hour, minute=int(found[2] or 0), second=0, microsecond=0)
            at += timedelta(minutes=1)
            return (at if at > now else at + timedelta(days=1)).timestamp()
        found = _SPAN.search(text)
        if found:
            return _time_after_span(found[1], now)
    return None


def _time_after_span(words: str, now: datetime) -> float | None:
    seconds, known = 0.0, False
    for number, unit in _PART.findall(words):
        name = unit.lower()
        size = _UNITS.get(name) or _UNITS.get(name.rstrip("s"))
        if size is None:
            break
        seconds, known = seconds + float(number) * size, True
    return now.timestamp() + seconds if known else None
