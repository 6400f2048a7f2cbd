"""What a phase was made from, value by value: `inputs.json` beside its result.

The digests decide what runs again, but show only that something changed. This file keeps the values
of `orchestr.cell.inputs`, so that `explain` can name the field, the old and the new value. It
decides nothing: without it, or with an unreadable one, `explain` names no field. Written when a
phase ends, by rename; of a long value it has the beginning and the digest, so it stays small.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.cell.input_nodes import SPEC
from orchestr.cell.inputs import counting_fields, declared_inputs, input_values
from orchestr.errors import OrchestrError
from orchestr.files import read_file
from orchestr.spec.phases import Phase
from orchestr.state.results import digest

INPUTS = "inputs.json"
LONGEST = 4000  # letters of a value that are kept
SHOWN = 200  # letters of a value that the journal gets
MOST = 20  # changes that are named


@dataclass(frozen=True, slots=True)
class InputChange:
    """One value that differs. ``origin`` is where it comes from: spec, settings, upstream, git.

    ``field`` is a path as in the spec: `todo[1]`; None is a value that is not there.
    """

    phase: str
    field: str
    old: str | None
    new: str | None
    origin: str


def save_inputs(ctx: CellContext, phase: str) -> None:
    """Keep what the phase was made from. A courtesy: it never fails a phase."""
    with suppress(OSError, OrchestrError, TypeError, ValueError):
        known = read_kept_inputs(ctx.dir)
        fresh = dict(known)
        order = ctx.cell.task_phases if ctx.cell.own_phases else tuple(Phase)
        for one in order:  # the phases before this one are up to date, or it had not ended
            if one == phase or str(one) not in known:
                fresh[str(one)] = {
                    n: _shorten_value(value) for n, (_, value) in input_values(ctx, one).items()
                }
            if one == phase:
                break
        if fresh != known:
            text = json.dumps({"schema": 1, "phases": fresh}, indent=1)
            # By rename, but not made durable: five more syncs a cell would buy nothing.
            temporary = ctx.dir / f".{INPUTS}.{os.getpid()}.tmp"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(ctx.dir / INPUTS)


def former_value(ctx: CellContext, phase: str, field: str) -> Any:
    """The value of ``field`` when the phase ended last, shortened where it is long; None where it
    is not known."""
    try:
        before = read_kept_inputs(ctx.dir).get(str(phase))
        return before.get(field) if isinstance(before, dict) else None
    except (OSError, OrchestrError, TypeError, ValueError):
        return None


def input_changes(ctx: CellContext, phase: str) -> tuple[InputChange, ...]:
    """What differs from when the phase ended last; nothing when that is not known.

    A field that the file does not have was not an input of the version that wrote it, so nothing is
    known of its old value; only an upstream may be new.
    """
    try:
        before = read_kept_inputs(ctx.dir).get(str(phase))
        if not isinstance(before, dict):
            return ()
        found: list[InputChange] = []
        now = input_values(ctx, phase)
        values = {name: value for name, (_, value) in now.items()}
        counting = counting_fields(ctx, phase, values) | counting_fields(ctx, phase, before)
        declared = {one.field_name(ctx) for one, _ in declared_inputs(ctx, phase)}
        for name, (origin, value) in now.items():
            if name in declared and (name not in counting or name not in before):
                continue
            old, new = before.get(name), _shorten_value(value)
            if old != new:
                found += _compare_values(str(phase), name, origin, old, new)
        for name in before:
            if name not in now and name.startswith("upstream "):
                found.append(InputChange(str(phase), name, _value_text(before[name]), None, SPEC))
        return tuple(found[:MOST])
    except (OSError, OrchestrError, TypeError, ValueError):
        return ()


def changes_for_journal(ctx: CellContext, phase: str) -> dict[str, Any]:
    """For the journal's `phase.started`: the changes, cut to a few words; empty for none."""
    found = [
        {"field": c.field, "old": _shorten_text(c.old), "new": _shorten_text(c.new)}
        for c in input_changes(ctx, phase)
    ]
    return {"changes": found} if found else {}


def read_kept_inputs(cell_dir: Path) -> Mapping[str, Any]:
    """The values that each phase was made from, by phase; empty where they are not known.

    Raises OSError for a file that is there and cannot be read.
    """
    try:
        raw = json.loads(read_file(cell_dir / INPUTS))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    phases = raw.get("phases") if isinstance(raw, dict) else None
    return phases if isinstance(phases, dict) else {}


def _shorten_value(value: Any) -> Any:
    """The value as JSON has it, or the beginning of one that is long."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    if len(text) <= LONGEST:
        return json.loads(text)
    if isinstance(value, list | tuple) and len(value) <= LONGEST // 40:
        return [_shorten_value(item) if len(str(item)) > SHOWN else item for item in value]
    return f"{text[:SHOWN]}… ({len(text)} letters, {digest(text)[:8]})"


def _compare_values(phase: str, name: str, origin: str, old: Any, new: Any) -> list[InputChange]:
    """One change a value; of two lists one an item, of tables in them one a field."""
    if not (isinstance(old, list) and isinstance(new, list)):
        return [InputChange(phase, name, _value_text(old), _value_text(new), origin)]
    whole = [item for item in (*old, *new) if not isinstance(item, dict)]
    if len(old) == len(new) and not whole:  # checks, reviewers: which of their fields
        pairs = [(n, a, b) for n, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        return [
            InputChange(
                phase,
                f"{name}[{n}].{key}",
                _value_text(a.get(key)),
                _value_text(b.get(key)),
                origin,
            )
            for n, a, b in pairs
            for key in dict.fromkeys((*a, *b))
            if a.get(key) != b.get(key)
        ]
    one, two = [_value_text(i) or "" for i in old], [_value_text(i) or "" for i in new]
    found = []
    matcher = difflib.SequenceMatcher(a=one, b=two, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        for step in range(max(b - a, d - c)):
            was = one[a + step] if a + step < b else None
            now = two[c + step] if c + step < d else None
            at = c + step if now is not None else a + step
            found.append(InputChange(phase, f"{name}[{at}]", was, now, origin))
    return found


def _value_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _shorten_text(text: str | None) -> str | None:
    return text if text is None or len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
