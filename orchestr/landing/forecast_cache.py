"""What is known of pairs of commits, so that a look at unchanged heads starts no git.

One file a repository, ``<state>/cache/forecast/<repo>.json``. Nothing in it is truth: it may be
deleted at any time, what cannot be read counts as nothing, and of two writers the last one wins.
Everything is by commits and the digest of what the ladder may do, so an entry never becomes wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import orchestr
from orchestr.codec import Record, decode, encode
from orchestr.files import read_file, write_atomic
from orchestr.landing.forecast import PairMerge

if TYPE_CHECKING:
    from orchestr.landing.ladder import LadderRules

T = TypeVar("T")
PAIRS = 4000  # merges kept for a repository
HEADS = 1000  # heads whose paths are kept


class CachedForecast(Record, frozen=True):
    """The file. ``paths``: `base head` -> the paths that differ (null: too many to keep);
    ``merges``: `digest first second` -> what the ladder made of it, without a digest where git
    merges them by itself."""

    paths: Mapping[str, tuple[str, ...] | None] = {}
    merges: Mapping[str, PairMerge] = {}


def rules_digest(rules: LadderRules) -> str:
    """A digest of what decides how a conflict is resolved: the settings, the recorded resolutions
    that there are, our own version."""
    recorded = 0
    with suppress(OSError):
        recorded = rules.recorded.stat().st_mtime_ns if rules.recorded is not None else 0
    row = encode(replace(rules, recorded=None), order="deterministic")
    text = json.dumps([orchestr.__version__, row, recorded])
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


class ForecastCache:
    """The entries of one repository; what was used last is kept longest."""

    def __init__(self, path: Path) -> None:
        self._path = path
        known = _read(path)
        self._paths, self._merges = dict(known.paths), dict(known.merges)
        self._conflicted = any(key.count(" ") > 1 for key in self._merges)
        self._used: dict[str, None] = {}
        self._changed = False

    def find_paths(self, base: str, head: str) -> tuple[bool, tuple[str, ...] | None]:
        """Whether the paths are known, and the paths."""
        key = f"{base} {head}"
        self._used[key] = None
        return key in self._paths, self._paths.get(key)

    def add_paths(self, base: str, head: str, paths: tuple[str, ...] | None) -> None:
        self._paths[f"{base} {head}"] = paths
        self._changed = True

    def find_merge(self, first: str, second: str, digest: Callable[[], str]) -> PairMerge | None:
        """What is known of the pair; ``digest`` is asked for only where git alone conflicts."""
        pair = f"{first} {second}"
        key = pair if pair in self._merges or not self._conflicted else f"{digest()} {pair}"
        self._used[key] = None
        return self._merges.get(key)

    def add_merge(self, digest: str, first: str, second: str, merge: PairMerge) -> None:
        pair = f"{first} {second}"
        key = pair if merge.is_clean else f"{digest} {pair}"
        self._merges[key], self._used[key] = merge, None
        self._changed = True

    def save(self) -> None:
        """Write what is new, if anything is. A full disk costs the same work later."""
        if not self._changed:
            return
        kept = CachedForecast(self._newest(self._paths, HEADS), self._newest(self._merges, PAIRS))
        with suppress(OSError, UnicodeEncodeError):
            text = json.dumps(encode(kept), separators=(",", ":"))
            write_atomic(self._path, text.encode("ascii"), durable=False)

    def _newest(self, entries: Mapping[str, T], most: int) -> dict[str, T]:
        """At most so many of them: those that were used now, then the newest of the others."""
        others = [key for key in entries if key not in self._used]
        used = [key for key in entries if key in self._used]
        return {key: entries[key] for key in [*others, *used][-most:]}


def _read(path: Path) -> CachedForecast:
    try:
        return decode(json.loads(read_file(path)), CachedForecast)
    except (OSError, ValueError, RecursionError):
        return CachedForecast()
