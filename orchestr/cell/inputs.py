"""What a phase was made from, value by value: `inputs.json` beside its result.

The digests decide what runs again, but say only that something changed. This file keeps what they
were made of, so that `explain` can name the field, the old and the new value. It decides nothing:
when it is missing, too old or unreadable, less is said. Written when a phase ends, by rename; long
values are kept by their beginning and their digest, so it stays small.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from dataclasses import fields as fields_of
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.errors import OrchestrError
from orchestr.spec.checks import CheckDef
from orchestr.spec.phases import Phase
from orchestr.state.results import WorktreeMarker, digest, read_tree

INPUTS = "inputs.json"
LONGEST = 4000  # letters of a value that are kept
SHOWN = 200  # letters of a value that the journal gets
MOST = 20  # changes that are told
SPEC, SETTINGS, UPSTREAM, GIT = "spec", "settings", "upstream", "git"


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


def input_values(ctx: CellContext, phase: Phase) -> dict[str, tuple[str, Any]]:
    """Field -> (origin, value) of everything that makes a phase run again."""
    cell, repo = ctx.cell, ctx.repo_settings
    found: dict[str, tuple[str, Any]] = {}

    def add_values(origin: str, **fields: Any) -> None:
        found.update({name: (origin, value) for name, value in fields.items()})

    match phase:
        case Phase.WORKTREE:
            add_values(SPEC, repo=cell.repo, branch=cell.branch, track_base=cell.track_base)
            add_values(SPEC if cell.base else SETTINGS, base=cell.base or repo.base)
            add_values(SETTINGS, path=str(repo.path) if repo.path else None)
            add_values(SETTINGS, setup=repo.setup, link=repo.link, copy=repo.copy)
            for upstream in ctx.upstreams():
                name = upstream.cell.name
                found[f"upstream {name}"] = (UPSTREAM, read_tree(upstream.dir))
        case Phase.IMPLEMENT:
            settings = ctx.run.settings.agents.get(ctx.agent_name)
            model = cell.model or (settings.model if settings else None)
            add_values(SPEC, todo=cell.todo, owned_paths=cell.owned_paths, action=str(cell.action))
            add_values(SPEC if cell.agent else SETTINGS, agent=ctx.agent_name)
            add_values(SPEC if cell.model else SETTINGS, model=model)
            add_values(SPEC, phases=[str(p) for p in cell.phases if p is phase])
            marker = WorktreeMarker.read(ctx.dir)
            if marker is not None:
                add_values(GIT, base_commit=marker.base)
                for name, tree in marker.upstreams.items():
                    found[f"upstream {name}"] = (UPSTREAM, tree)
        case Phase.CHECK:
            proof, mine = cell.proof, f"repos.{cell.repo}"
            add_values(SPEC, phases=[str(p) for p in cell.phases if p is phase])
            add_values(SPEC, checks=_check_tables(proof.checks), allow_partial=proof.allow_partial)
            add_values(SPEC, allow_skipped_tests=proof.allow_skipped_tests)
            add_values(SETTINGS, **{f"{mine}.checks": _check_tables(repo.checks)})
            add_values(SETTINGS, **{f"{mine}.detect": repo.detect})
        case Phase.REVIEW:
            proof = cell.proof
            add_values(SPEC, phases=[str(p) for p in cell.phases if p is phase])
            add_values(SPEC, reviewers=[{"agent": r.agent, "name": r.name, "model": r.model}
                                  for r in proof.reviewers])  # fmt: skip
            add_values(SPEC, screenshots=_check_tables(proof.screenshots))
            add_values(SPEC, review_rule=str(proof.review_rule), allow_partial=proof.allow_partial)
        case Phase.PUBLISH:
            feature = ctx.run.feature
            add_values(SPEC, title=cell.title, todo=cell.todo, feature_title=feature.title)
            add_values(SPEC, jira=feature.jira, scenarios=feature.scenarios)
            add_values(SPEC, phases=[str(p) for p in cell.phases if p is phase])
            head = ctx.read_head()
            add_values(GIT, head=head.head if head else None)
    return found


def save_inputs(ctx: CellContext, phase: Phase) -> None:
    """Keep what the phase was made from. A courtesy: it never fails a phase."""
    with suppress(OSError, OrchestrError, TypeError, ValueError):
        known = _read_inputs(ctx)
        fresh = dict(known)
        for one in Phase:  # the phases before this one are up to date, or it had not ended
            if one is phase or str(one) not in known:
                fresh[str(one)] = {
                    n: _shorten_value(value) for n, (_, value) in input_values(ctx, one).items()
                }
            if one is phase:
                break
        if fresh != known:
            text = json.dumps({"schema": 1, "phases": fresh}, indent=1)
            # By rename, but not made durable: five more syncs a cell would buy nothing.
            temporary = ctx.dir / f".{INPUTS}.{os.getpid()}.tmp"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(ctx.dir / INPUTS)


def input_changes(ctx: CellContext, phase: Phase) -> tuple[InputChange, ...]:
    """What differs from when the phase ended last; nothing when that is not known."""
    try:
        before = _read_inputs(ctx).get(str(phase))
        if not isinstance(before, dict):
            return ()
        found: list[InputChange] = []
        now = input_values(ctx, phase)
        for name, (origin, value) in now.items():
            old, new = before.get(name), _shorten_value(value)
            if old != new:
                found += _compare_values(str(phase), name, origin, old, new)
        for name in before:
            if name not in now and name.startswith("upstream "):
                found.append(InputChange(str(phase), name, _value_text(before[name]), None, SPEC))
        return tuple(found[:MOST])
    except (OSError, OrchestrError, TypeError, ValueError):
        return ()


def changes_for_journal(ctx: CellContext, phase: Phase) -> dict[str, Any]:
    """For the journal's `phase.started`: the changes, cut to a few words; empty for none."""
    found = [
        {"field": c.field, "old": _shorten_text(c.old), "new": _shorten_text(c.new)}
        for c in input_changes(ctx, phase)
    ]
    return {"changes": found} if found else {}


def _read_inputs(ctx: CellContext) -> Mapping[str, Any]:
    try:
        raw = json.loads((ctx.dir / INPUTS).read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    phases = raw.get("phases") if isinstance(raw, dict) else None
    return phases if isinstance(phases, dict) else {}


def _check_tables(checks: Sequence[CheckDef]) -> list[dict[str, Any]]:
    """Checks as a spec has them: what says no more than the usual is left out."""
    found = []
    for check in checks:
        usual = {f.name: f.default for f in fields_of(check)}
        table = {k: v for k, v in asdict(check).items() if v != usual[k]}
        found.append({"kind": str(check.kind), **table})
    return found


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
