"""The lock of a spec: `specs/NAME.lock.toml`, beside the spec and committed with it.

It holds what people agreed on before the work (the intent, what "done" means, the cells and what
each must show), so that later versions of the spec are compared with it. Free changes pass, locked
ones need an amendment: who, when, why, before and after. Each amendment names the hash of the entry
before it, the first one that of the values as they were locked first: undoing all of them, newest
first, must come to exactly those values (`find_chain_fault`).

Pure, but for `read_spec_lock`. Which values are locked: `orchestr.spec.lock_values`. Comparing in a
run and the journal: `orchestr.run.check_lock`; where it lies: `Feature.lock_path`.
"""

from __future__ import annotations

import copy
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

from orchestr.codec import (
    SCHEMA,
    InvalidRecord,
    Record,
    decode,
    encode,
    replace,
)
from orchestr.errors import Problem, SpecError
from orchestr.files import encode_toml, read_file
from orchestr.spec.lock_values import (
    AUDITORS,
    CELLS,
    INTENT,
    WHOLE,
    Values,
    hash_value,
    is_stricter,
    list_free_digests,
    list_locked_values,
)
from orchestr.spec.records import Feature


class Tier(StrEnum):
    """How far a field is bound. A changed intent needs an amendment, as a locked field does."""

    INTENT = "intent"
    LOCKED = "locked"
    FREE = "free"


class TierDigests(Record, frozen=True):
    """Sha256 of the values of each tier; ``chain`` is the hash of the newest amendment, or of the
    values that were locked first."""

    intent: str
    locked: str
    free: str
    chain: str


class Amendment(Record, frozen=True):
    """One change of a locked field. ``before`` or ``after`` is None where there was nothing.

    ``at`` is ISO-8601 UTC, ``previous`` the hash of the entry before. A renamed cell has its names
    as ``before`` and ``after``, one that came or went what it must show. With ``tier`` free it only
    takes in what passes anyway: more cells or checks, stricter ones.
    """

    at: str
    who: str
    reason: str
    field: str
    before: Any = None
    after: Any = None
    previous: str = ""
    tier: Tier = Tier.LOCKED


class SpecLock(Record, frozen=True):
    """A whole lock file. ``values`` are the locked values as they are now, ``free`` the digest of
    each other field; ``at`` and ``who`` are of the first lock."""

    feature: str
    at: str
    who: str
    digests: TierDigests
    values: dict[str, Any]
    free: dict[str, str]
    amendment: tuple[Amendment, ...] = ()

    @property
    def amendments(self) -> tuple[Amendment, ...]:
        """The amendments of what was locked, oldest first; without what only asks for more."""
        return tuple(one for one in self.amendment if one.tier is not Tier.FREE)


@dataclass(frozen=True, slots=True)
class SpecChange:
    """One field that differs from the lock. Free fields without a stored value have neither
    ``before`` nor ``after``."""

    tier: Tier
    field: str
    before: Any = None
    after: Any = None

    @property
    def needs_amendment(self) -> bool:
        return self.tier is not Tier.FREE


def build_spec_lock(feature: Feature, *, at: str, who: str) -> SpecLock:
    """A fresh lock of an expanded feature. ``at`` is ISO-8601 UTC, ``who`` a git identity."""
    values, free = list_locked_values(feature), list_free_digests(feature)
    return SpecLock(
        feature.name, at, who, _digest_tiers(values, free, hash_value(values)), values, free
    )


def compare_spec_to_lock(lock: SpecLock, feature: Feature) -> tuple[SpecChange, ...]:
    """Every field of a feature that differs from its lock, locked tiers first."""
    old, new = copy.deepcopy(lock.values), list_locked_values(feature)
    found = [
        SpecChange(
            Tier.INTENT if name == INTENT else Tier.LOCKED, name, old.get(name), new.get(name)
        )
        for name in (INTENT, *WHOLE)
        if old.get(name) != new.get(name)
    ]
    found += _compare_auditors(old.get(AUDITORS), new.get(AUDITORS))
    renamed = _list_renamed_cells(old, feature)
    for before, after in renamed.items():
        found.append(SpecChange(Tier.LOCKED, f"{CELLS}.{before}", before, after))
        old[CELLS][after] = old[CELLS].pop(before)
    found += _compare_cells(old[CELLS], new[CELLS])
    free = list_free_digests(feature)
    names = [name for name in (*lock.free, *free) if lock.free.get(name) != free.get(name)]
    cells = {name for name in old[CELLS] if name in new[CELLS]} - set(renamed.values())
    found += [
        SpecChange(Tier.FREE, name)
        for name in dict.fromkeys(names)
        if not name.startswith(f"{CELLS}.") or name.split(".")[1] in cells
    ]
    return tuple(sorted(found, key=lambda change: list(Tier).index(change.tier)))


def amend_lock(
    lock: SpecLock, feature: Feature, *, at: str, who: str, reason: str
) -> tuple[SpecLock, tuple[Amendment, ...]]:
    """The lock with an amendment for each locked change of ``feature``, and those amendments.

    What only adds cells or checks is taken in with it, so that it is locked from then on. Nothing
    is added where no field but free ones differs.
    """
    values, chain = copy.deepcopy(lock.values), lock.digests.chain
    entries: list[Amendment] = []
    for change in compare_spec_to_lock(lock, feature):
        if change.before is None and change.after is None:
            continue
        entry = Amendment(
            at, who, reason, change.field, change.before, change.after, chain, change.tier
        )
        _set_value(values, entry.field, entry.before, entry.after)
        chain = hash_entry(entry)
        entries.append(entry)
    free = list_free_digests(feature)
    if not entries and free == lock.free:
        return lock, ()
    return replace(
        lock,
        feature=feature.name,
        values=values,
        free=free,
        digests=_digest_tiers(values, free, chain),
        amendment=(*lock.amendment, *entries),
    ), tuple(entries)


def hash_entry(entry: Amendment) -> str:
    """The hash that the next entry names as ``previous``."""
    return hash_value(encode(entry))


def find_chain_fault(lock: SpecLock) -> str | None:
    """What is wrong with a lock's history, in words; None when all of it holds.

    Shows that each entry follows from the one before, and that values and digests are what the
    entries come to. A lock that was edited by hand, or merged by halves, has a fault.
    """
    if _digest_tiers(lock.values, lock.free, lock.digests.chain) != lock.digests:
        return "its values are not those that its digests were made of"
    newest = hash_entry(lock.amendment[-1]) if lock.amendment else hash_value(lock.values)
    if newest != lock.digests.chain:
        what = f"amendment {len(lock.amendment)}" if lock.amendment else "the first lock"
        return f"{what} is not the one that `chain` names"
    for number, (before, entry) in enumerate(pairwise(lock.amendment), 2):
        if entry.previous != hash_entry(before):
            return f"amendment {number} does not follow from the one before it"
    values = copy.deepcopy(lock.values)
    for number, entry in reversed([*enumerate(lock.amendment, 1)]):
        try:
            _set_value(values, entry.field, entry.after, entry.before)
        except (KeyError, TypeError, ValueError):
            return f"amendment {number} of {entry.field} does not lead to the values in the lock"
    if lock.amendment and lock.amendment[0].previous != hash_value(values):
        return "the amendments do not lead back to the values that were locked first"
    return None


def read_spec_lock(path: Path, name: str | None = None) -> SpecLock | None:
    """The lock in a file, None when there is none. ``name`` is the file's in messages.

    Raises SpecError, with its line, for a file that is no lock, or one of a newer version: a lock
    is never set aside, as its work would then be unbound.
    """
    shown = name or str(path)
    try:
        data = read_file(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _lock_error(shown, 0, f"cannot be read: {error.strerror}") from None
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or _line_in_words(str(error))
        raise _lock_error(shown, line, f"this is not TOML: {error}") from None
    version = table.pop("schema", None)
    if not isinstance(version, int) or version > SCHEMA:
        raise _lock_error(shown, 1, f"form {version!r} of a lock is not known to this version")
    try:
        lock = decode(table, SpecLock)
        cells = lock.values[CELLS]
        if not isinstance(cells, dict) or not all(isinstance(c, dict) for c in cells.values()):
            raise InvalidRecord("`values.cells` is no table of cells")
    except (InvalidRecord, KeyError) as error:
        raise _lock_error(shown, 1, f"this is not a lock: {error}") from None
    return lock


def encode_spec_lock(lock: SpecLock) -> bytes:
    """The file of a lock; fields that are None are left out."""
    table = {"schema": SCHEMA, **encode(lock)}
    entries = [
        {name: value for name, value in entry.items() if value is not None}
        for entry in table.pop("amendment")
    ]
    return encode_toml(table | ({"amendment": entries} if entries else {}))


# --- fields --------------------------------------------------------------------------------------


def _compare_auditors(before: list[str] | None, after: list[str] | None) -> Iterator[SpecChange]:
    if before != after:
        tier = Tier.FREE if Counter(before or ()) <= Counter(after or ()) else Tier.LOCKED
        yield SpecChange(tier, AUDITORS, before, after)


def _compare_cells(old: Values, new: Values) -> Iterator[SpecChange]:
    for name in dict.fromkeys((*old, *new)):
        here = f"{CELLS}.{name}"
        if name not in new:
            yield SpecChange(Tier.LOCKED, here, old[name], None)
        elif name not in old:
            yield SpecChange(Tier.FREE, here, None, new[name])
        else:
            yield from _compare_cell(here, old[name], new[name])


def _compare_cell(here: str, old: Values, new: Values) -> Iterator[SpecChange]:
    for part in dict.fromkeys((*old, *new)):
        before, after = old.get(part, {}), new.get(part, {})
        if part != "requires":
            yield from _compare_entries(f"{here}.{part}", before, after)
        elif before != after:
            fine = set(before) <= set(after)
            yield SpecChange(Tier.FREE if fine else Tier.LOCKED, f"{here}.{part}", before, after)


def _compare_entries(here: str, before: Values, after: Values) -> Iterator[SpecChange]:
    """Checks or reviewers by name. One that stands under another name is still there: names that
    the spec leaves out are numbered."""
    names = [
        name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)
    ]
    left = [after[name] for name in names if name in after]
    moved = set()
    for name in names:
        if before.get(name) in left:
            left.remove(before[name])
            moved.add(name)
    for name in names:
        was, now = before.get(name), after.get(name)
        fine = (
            was is None
            or name in moved
            or (now is not None and now in left and is_stricter(was, now))
        )
        yield SpecChange(Tier.FREE if fine else Tier.LOCKED, f"{here}.{name}", was, now)


def _list_renamed_cells(old: Values, feature: Feature) -> dict[str, str]:
    """Former -> new names of cells that the lock has under the former one."""
    names = {cell.name for cell in feature.cells}
    return {
        cell.was: cell.name
        for cell in feature.cells
        if cell.was is not None
        and cell.was in old[CELLS]
        and cell.was not in names
        and cell.name not in old[CELLS]
    }


def _set_value(values: Values, field: str, before: Any, after: Any) -> None:
    """Change one field in place. Raises ValueError when it is not as it was ``before``."""
    steps = field.split(".", 3) if field.startswith(f"{CELLS}.") else [field]
    *parents, last = steps
    table: Any = values
    for step in parents:
        table = table.setdefault(step, {})
    if len(steps) == 2 and isinstance(before, str) and isinstance(after, str):
        if after in table or last not in (before, after):
            raise ValueError(field)
        table[after] = table.pop(before)
        return
    if table.get(last) != before:
        raise ValueError(field)
    if after is None:
        table.pop(last, None)
        if len(steps) == 4 and not table:  # the last check of a cell
            values[CELLS][steps[1]].pop(steps[2])
    else:
        table[last] = copy.deepcopy(after)  # entries do not change with the values


def _digest_tiers(values: Values, free: dict[str, str], chain: str) -> TierDigests:
    locked = {name: value for name, value in values.items() if name != INTENT}
    return TierDigests(hash_value(values.get(INTENT)), hash_value(locked), hash_value(free), chain)


def _lock_error(file: str, line: int, message: str) -> SpecError:
    return SpecError([Problem(file, line, 0, "", message, f"git checkout -- {file}")])


def _line_in_words(text: str) -> int:
    """The line that tomllib names in its message; 0 when it names none."""
    _, _, rest = text.partition("(at line ")
    number = rest.partition(",")[0]
    return int(number) if number.isdigit() else 0
