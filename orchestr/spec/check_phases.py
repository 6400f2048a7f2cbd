"""What is wrong between the phases that a spec lists and the rest of it, and the settings.

Works on the raw values, like `orchestr.spec.references`: names that are not there, what comes too
late or too early, cycles. What one definition alone does wrong is reported by
`orchestr.spec.own_phases`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from orchestr.errors import Problem
from orchestr.spec.expression import check_expression, list_names
from orchestr.spec.field_types import BadValue, quote_value, suggest_name
from orchestr.spec.own_phases import (
    OwnPhase,
    Step,
    find_anchors,
    own_phases,
    parse_phases,
    resolve_phases,
)
from orchestr.spec.phases import LISTED, Phase
from orchestr.spec.places import Path_
from orchestr.spec.yaml_source import Document

Where = Mapping[str, Path_]


def check_phases(
    document: Document,
    levels: Iterable[tuple[Path_, Any, bool]],
    known: Mapping[str, OwnPhase],
    agents: Collection[str] | None,
) -> Iterable[Problem]:
    """Every problem. ``levels``: where ``phases`` may stand, the mapping, whether an agent works
    there; ``known`` are the settings' phases, ``agents`` None means: any will do."""
    for here, fields, works in levels:
        listed = fields.get("phases") if isinstance(fields, dict) else None
        if not isinstance(listed, list):
            continue
        try:
            steps = parse_phases(listed)
        except BadValue:
            continue  # reported where the field is read
        yield from _check_level(document, (*here, "phases"), listed, steps, known, agents, works)


def _check_level(
    document: Document,
    here: Path_,
    listed: Sequence[Any],
    steps: tuple[Step, ...],
    known: Mapping[str, OwnPhase],
    agents: Collection[str] | None,
    works: bool,
) -> Iterable[Problem]:
    where = {
        str(item.get("name") if isinstance(item, dict) else item): (*here, index)
        for index, item in enumerate(listed)
    }
    steps = resolve_phases(steps, known)
    for phase in own_phases(steps):
        if phase.is_named:
            hint = suggest_name(phase.name, [*LISTED, *known])
            hint = f"{hint} (or define [phases.{phase.name}] in orchestr.toml)"
            message = f"unknown phase {quote_value(phase.name)}"
            yield document.make_problem(where[phase.name], message, hint)
        elif not works:
            message = f"phase `{phase.name}` cannot work in a cell with `action: push`"
            yield document.make_problem(where[phase.name], message, "its commits are a person's")
    yield from _check_places(document, where, steps)
    yield from _check_needs(document, where, steps)
    yield from _check_conditions(document, where, steps)
    for phase in own_phases(steps):
        if agents is not None and phase.agent is not None and phase.agent not in agents:
            declare = "declare it in orchestr.toml, like [agents.my-agent]"
            hint = suggest_name(phase.agent, agents) or declare
            message = f"there is no agent {quote_value(phase.agent)}"
            yield document.make_problem((*where[phase.name], "agent"), message, hint)


def _check_places(document: Document, where: Where, steps: Sequence[Step]) -> Iterable[Problem]:
    """What changes files stands between `implement` and `check`: what is checked and reviewed is
    what is published."""
    anchors = find_anchors(steps)
    for phase in own_phases(steps):
        anchor, at = anchors[phase.name], where[phase.name]
        early = anchor in (Phase.WORKTREE, Phase.PLAN)
        if phase.is_named:
            continue
        if phase.changes_files and anchor is not Phase.IMPLEMENT:
            message = f"phase `{phase.name}` changes files, so it cannot stand after `{anchor}`"
            hint = "list it between `implement` and `check`, or give it an `output`"
            yield document.make_problem(at, message, hint)
        elif phase.continues is not None and early:
            message = f"phase `{phase.name}` continues a session that has not begun"
            yield document.make_problem((*at, "continues"), message, "list it after `implement`")


def _check_needs(document: Document, where: Where, steps: Sequence[Step]) -> Iterable[Problem]:
    names = [_name_of(step) for step in steps]
    needs = {phase.name: phase.needs for phase in own_phases(steps)}
    for phase in own_phases(steps):
        for index, need in enumerate(phase.needs):
            at = (*where[phase.name], "needs", index)
            if need not in names and need != Phase.WORKTREE:
                hint = suggest_name(need, [name for name in names if name != phase.name])
                yield document.make_problem(at, f"there is no phase {quote_value(need)}", hint)
            elif need in names and names.index(need) >= names.index(phase.name):
                ring = _find_ring(needs, phase.name, need)
                if ring:
                    message = f"a cycle: {' needs '.join(f'`{name}`' for name in ring)}"
                    yield document.make_problem(at, message, "take one of these needs away")
                else:
                    message = f"phase `{phase.name}` needs `{need}`, which comes after it"
                    yield document.make_problem(at, message, f"list it after `{need}`")


def _find_ring(needs: Mapping[str, Sequence[str]], start: str, first: str) -> list[str]:
    """The way from a phase over one that it needs back to itself; empty where there is none."""
    ways, seen = [[start, first]], {start}
    for way in ways:
        if way[-1] == start:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, need] for need in needs.get(way[-1], ())]
    return []


def _check_conditions(document: Document, where: Where, steps: Sequence[Step]) -> Iterable[Problem]:
    """`when:` reads outputs of phases that come before."""
    own = own_phases(steps)
    for number, phase in enumerate(own):
        if phase.when is None:
            continue
        before = [one.name for one in own[:number] if one.output is not None]
        at = (*where[phase.name], "when")
        try:
            strange = [name for name in list_names(phase.when) if name not in before]
            if not strange:
                check_expression(phase.when, before)
        except BadValue as error:
            yield document.make_problem(at, error.message, "like classify['risk'] > 2")
            continue
        for name in strange:
            hint = suggest_name(name, before) or "list a phase with `output` before this one"
            yield document.make_problem(at, _explain_unread(name, own, phase), hint)


def _explain_unread(name: str, own: Sequence[OwnPhase], reader: OwnPhase) -> str:
    if name == reader.name:
        return f"it reads `{name}`, which is this phase itself"
    other = next((one for one in own if one.name == name), None)
    if other is None:
        return f"it reads `{name}`, and there is no phase of that name before it"
    if other.output is None:
        return f"it reads `{name}`, a phase without `output`"
    return f"it reads `{name}`, which does not come before it"


def _name_of(step: Step) -> str:
    return step.name if isinstance(step, OwnPhase) else str(step)
