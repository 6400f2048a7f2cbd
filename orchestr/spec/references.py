"""What is wrong between the parts of a spec: dependencies, branches, agents, phases.

Works on the raw values, not on the models, so that one wrong field elsewhere hides nothing:
every problem of a file is reported at once. No clock, no disk, no git.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestr.errors import Problem
from orchestr.spec import check_phases, check_references, cycles
from orchestr.spec.checks import ProofRequirements
from orchestr.spec.declare import OnlyForAgents, list_marked_fields
from orchestr.spec.field_types import BadValue, check_branch, quote_value, suggest_name
from orchestr.spec.own_phases import OwnPhase
from orchestr.spec.records import Cell
from orchestr.spec.yaml_source import Document


@dataclass(frozen=True, slots=True)
class CellSketch:
    """What can be known of a cell before it is known to be right.

    ``needs`` are its upstreams with their index in the file; ``pushes`` says that no agent works.
    """

    name: str
    repo: str | None
    branch: str | None
    needs: tuple[tuple[int, str], ...]
    pushes: bool


def sketch_cells(raw: Mapping[str, Any], section: str) -> list[CellSketch]:
    """The cells of a document as far as they can be read; ``section`` is `cells` or `repos`."""
    cells = raw.get(section)
    if not isinstance(cells, dict):
        return []
    meta = raw.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    key = next(filter(None, (_text_or_none(meta.get(n)) for n in ("jira", "was", "name"))), None)
    result = []
    for name, cell in cells.items():
        fields = cell if isinstance(cell, dict) else {}
        needs = fields.get("depends_on")
        repo = _text_or_none(fields.get("repo" if section == "cells" else "path"))
        tests = section == "repos" and name == "tests"
        result.append(
            CellSketch(
                name,
                repo or (name if tests else None),
                _text_or_none(fields.get("branch"))
                or (f"{key}-{_text_or_none(fields.get('was')) or name}" if key else None),
                tuple((i, n) for i, n in enumerate(needs) if isinstance(n, str))
                if isinstance(needs, list)
                else (),
                fields.get("action", "push" if tests else "agent") == "push",
            )
        )
    return result


def check_document(
    document: Document,
    section: str,
    agents: Collection[str] | None,
    phases: Mapping[str, OwnPhase],
) -> list[Problem]:
    """Every problem between the parts, errors and warnings. ``agents`` None: any name will do;
    ``phases`` are those that the settings define."""
    raw = document.value
    if not isinstance(raw, dict):
        return []
    cells = sketch_cells(raw, section)
    found = [
        *_dependency_problems(document, section, cells),
        *_cycle_problems(document, section, cells),
    ]
    found += _branch_problems(document, section, cells)
    found += _former_name_problems(document, section, cells)
    found += _role_problems(document, section, cells)
    repos = {cell.repo for cell in cells if cell.repo}
    found += check_references.check_proof_fields(document, section, repos, agents)
    found += check_references.check_product(document)
    levels: list[tuple[tuple[str, ...], Any, bool]] = [(("defaults",), raw.get("defaults"), True)]
    levels += [((section, cell.name), raw[section][cell.name], not cell.pushes) for cell in cells]
    found += check_phases.check_phases(document, levels, phases, agents)
    found += _chain_problems(document, levels)
    if agents is not None:
        found += _agent_problems(document, section, cells, agents)
    return found


def _dependency_problems(
    document: Document, section: str, cells: list[CellSketch]
) -> Iterable[Problem]:
    names = {cell.name for cell in cells}
    for cell in cells:
        seen: set[str] = set()
        for index, upstream in cell.needs:
            path = (section, cell.name, "depends_on", index)
            if upstream == cell.name:
                yield document.make_problem(path, "a cell cannot depend on itself", "remove it")
            elif upstream not in names:
                hint = suggest_name(upstream, names - {cell.name})
                yield document.make_problem(path, f"there is no cell {quote_value(upstream)}", hint)
            elif upstream in seen:
                message = f"{quote_value(upstream)} is named twice"
                yield document.make_problem(path, message, "remove one", severity="warning")
            seen.add(upstream)


def _former_name_problems(
    document: Document, section: str, cells: list[CellSketch]
) -> Iterable[Problem]:
    """`was:` names a cell that is no more, and one only."""
    raw = document.value
    heirs: dict[str, str] = {}
    names = {cell.name for cell in cells}
    hint = "`was` is the name that this cell had before"
    meta = raw.get("metadata")
    if isinstance(meta, dict) and meta.get("was") and meta.get("was") == meta.get("name"):
        yield document.make_problem(("metadata", "was"), "is the feature's own name", "remove it")
    for cell in cells:
        fields = raw[section][cell.name]
        was = fields.get("was") if isinstance(fields, dict) else None
        if not isinstance(was, str):
            continue
        first = heirs.setdefault(was, cell.name)
        if was == cell.name:
            message = "is the cell's own name"
        elif was in names:
            message = f"cell {quote_value(was)} is in this file still"
        elif first != cell.name:
            message = f"cell {first} was {quote_value(was)} already"
        else:
            continue
        yield document.make_problem((section, cell.name, "was"), message, hint)


def _cycle_problems(document: Document, section: str, cells: list[CellSketch]) -> Iterable[Problem]:
    """One problem for each knot of cells, with a way round in it."""
    for cycle in cycles.find({cell.name: [up for _, up in cell.needs] for cell in cells}):
        first, second = cycle.path[:2]
        needs = next(cell.needs for cell in cells if cell.name == first)
        index = next(i for i, upstream in needs if upstream == second)
        steps = list(cycle.path)
        if len(steps) > 20:
            steps[10:-9] = [f"... {len(steps) - 19} more ..."]
        hint = "remove one of these dependencies"
        if cycle.others:
            rest = f" and {len(cycle.others) - 10} more" if len(cycle.others) > 10 else ""
            hint += f"; in the same knot: {', '.join(cycle.others[:10])}{rest}"
        path = (section, first, "depends_on", index)
        yield document.make_problem(path, f"cells wait for each other: {' -> '.join(steps)}", hint)


def _branch_problems(
    document: Document, section: str, cells: list[CellSketch]
) -> Iterable[Problem]:
    """Two cells cannot share a branch, nor can git keep both `x` and `x/y` (files and folders)."""
    owner: dict[tuple[str, str], str] = {}
    folded: dict[tuple[str, str], tuple[str, str]] = {}
    known = [(cell, cell.repo, cell.branch) for cell in cells if _is_branch(cell.branch)]
    for cell, repo, branch in known:
        if repo is None or branch is None:
            continue
        path = (section, cell.name, "branch")
        first = owner.setdefault((repo, branch), cell.name)
        twin = folded.setdefault((repo, branch.lower()), (cell.name, branch))
        if first != cell.name:
            where = f"branch {quote_value(branch)} of repository {quote_value(repo)}"
            message = f"{where} is cell {first}'s already"
            hint = "give each cell a branch of its own; the default is <key>-<cell>"
            yield document.make_problem(path, message, hint)
        elif twin[1] != branch:
            message = f"branch {quote_value(branch)} differs from cell {twin[0]}'s only in its case"
            yield document.make_problem(
                path, message, "some disks keep only one", severity="warning"
            )
    for cell, repo, branch in known:
        if repo is None or branch is None:
            continue
        parts = branch.split("/")
        for length in range(1, len(parts)):
            folder = "/".join(parts[:length])
            other = owner.get((repo, folder))
            if other is not None:
                theirs = f"cell {other}'s {quote_value(folder)}"
                message = f"git cannot keep branch {quote_value(branch)} beside {theirs}"
                hint = "one branch may not be the folder of another: rename one"
                yield document.make_problem((section, cell.name, "branch"), message, hint)


def _role_problems(document: Document, section: str, cells: list[CellSketch]) -> Iterable[Problem]:
    """What an agent cell must have and a push cell cannot."""
    raw = document.value
    defaults = raw.get("defaults")
    defaults = defaults if isinstance(defaults, dict) else {}
    for_agents = list_marked_fields(OnlyForAgents, Cell, ProofRequirements)
    for cell in cells:
        fields = raw[section][cell.name]
        if not isinstance(fields, dict):
            continue
        here = (section, cell.name)
        if section == "repos" and "path" not in fields and cell.name != "tests":
            message = "is required (only the cell `tests` may leave it out)"
            hint = "name the repository: `path: my-repository`"
            yield document.make_problem((*here, "path"), message, hint, at_key=True)
        base = fields.get("base", defaults.get("base"))
        if base is not None and base == cell.branch:
            message = f"branch {quote_value(base)} is its own base"
            yield document.make_problem((*here, "branch"), message, "choose another branch or base")
        if cell.pushes:
            for name in for_agents:
                if name in fields:
                    message = "a cell with `action: push` has no agent"
                    hint = "remove it, or write `action: agent`"
                    yield document.make_problem((*here, name), message, hint, at_key=True)
            continue
        usual = [] if "agent" in fields else defaults.get("agents")
        listed = fields.get("agents", usual)
        several = "best_of" in {*fields, *defaults} or len(set(map(str, listed or []))) > 1
        if "max_wait" in fields and not several:
            message = "`max_wait` counts only where another agent follows"
            hint = "name it, like `agents: [claude, codex]`, or remove `max_wait`"
            yield document.make_problem(
                (*here, "max_wait"), message, hint, at_key=True, severity="warning"
            )
        if fields.get("todo", []) == []:
            message = "nothing in `todo`: the agent gets only the titles"
            yield document.make_problem(here, message, severity="warning", at_key=True)
        at: tuple[str, ...] = (*here, "phases")
        phases = fields.get("phases")
        if phases is None:
            at = ("defaults", "phases")
            phases = defaults.get("phases")
        if isinstance(phases, list) and phases and "implement" not in phases:
            message = f"cell {cell.name} has an agent but no phase `implement`"
            yield document.make_problem(at, message, "add `implement`, or write `action: push`")
        yield from _cut_text_problems(document, here, fields.get("todo"))


def _cut_text_problems(document: Document, here: tuple[str, ...], todo: Any) -> Iterable[Problem]:
    """``- Fix issue #12`` reads as "Fix issue": say so, nobody would notice."""
    for index in range(len(todo)) if isinstance(todo, list) else ():
        path: tuple[str | int, ...] = (*here, "todo", index)
        comment = document.comment_after(path)
        if comment is not None:
            message = f"{quote_value(comment)} is a comment, not part of the text"
            hint = "quote the whole text if it belongs there"
            yield document.make_problem(path, message, hint, severity="warning")


def _chain_problems(
    document: Document, levels: Iterable[tuple[tuple[str, ...], Any, bool]]
) -> Iterable[Problem]:
    """`agent` beside `agents`: only one of them can name the first; neither goes one after the
    other what works side by side."""
    for here, fields, _ in levels:
        if isinstance(fields, dict) and "agent" in fields and "agents" in fields:
            message = "`agents` names the first one already"
            yield document.make_problem((*here, "agent"), message, "remove it", at_key=True)
        if isinstance(fields, dict) and "best_of" in fields and "agents" in fields:
            message = "attempts side by side are followed by no other agent"
            hint = "name the agents in best_of: {n: 3, agents: [...]}, or remove it"
            yield document.make_problem((*here, "agents"), message, hint, at_key=True)


def _agent_problems(
    document: Document, section: str, cells: list[CellSketch], agents: Collection[str]
) -> Iterable[Problem]:
    raw = document.value
    defaults = raw.get("defaults")
    places: list[tuple[tuple[str, ...], Any]] = [(("defaults",), defaults)]
    places += [((section, cell.name), raw[section][cell.name]) for cell in cells]
    for here, fields in places:
        if not isinstance(fields, dict):
            continue
        listed = fields.get("agents")
        named: list[tuple[tuple[str | int, ...], Any]] = [(("agent",), fields.get("agent"))]
        named += [(("agents", index), name) for index, name in enumerate(listed)
                  ] if isinstance(listed, list) else []  # fmt: skip
        best_of = fields.get("best_of")
        side = best_of.get("agents") if isinstance(best_of, dict) else None
        named += [(("best_of", "agents", index), name) for index, name in enumerate(side)
                  ] if isinstance(side, list) else []  # fmt: skip
        for step, name in named:
            if isinstance(name, str) and name not in agents:
                declare = "declare it in orchestr.toml, like [agents.my-agent]"
                hint = suggest_name(name, agents) or declare
                what = f"there is no agent {quote_value(name)}"
                yield document.make_problem((*here, *step), what, hint)


def _is_branch(name: str | None) -> bool:
    """Whether it is worth comparing; what is wrong with it alone is said elsewhere."""
    try:
        return name is not None and bool(check_branch(name))
    except BadValue:
        return False


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
