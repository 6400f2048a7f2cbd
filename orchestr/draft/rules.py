"""What a drafted spec must hold beyond being a valid one. Pure but for the reader of specs.

Every rule is a problem at a line, as the reader's own are: the agent gets all of them at once. A
person's spec is not held to them; they are what a person would ask of a draft.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from orchestr.draft.files import digest_bytes
from orchestr.draft.repo_map import RepoFacts, code_flows
from orchestr.errors import Problem, SpecError
from orchestr.spec.document import read_document
from orchestr.spec.field_types import suggest_name
from orchestr.spec.path_patterns import match_paths
from orchestr.spec.phases import Action, Phase
from orchestr.spec.reader import compile_spec
from orchestr.spec.records import Cell, Feature
from orchestr.spec.yaml_source import Document

FEWEST, MOST_CELLS = 2, 8
SHARED = 3  # cells that own one path
_REASON = re.compile(r"checks:\s*[\"']?none[\"']?\s+#\s*\S")


@dataclass(frozen=True, slots=True)
class DraftRules:
    """What a draft is judged by: its name, the agents of the settings, the map of repositories.

    ``root`` is the workspace; ``shown`` the name of the text in messages. What an ``existing`` spec
    has already, its number of cells and its edges, is a person's decision and stays allowed.
    """

    name: str
    root: Path
    shown: str
    agents: Collection[str]
    facts: Mapping[str, RepoFacts]
    existing: Feature | None = None


def read_drafted_spec(text: str, rules: DraftRules) -> Feature:
    """The feature of a drafted spec. Raises SpecError with every problem and its line."""
    data = text.encode("utf-8", "surrogatepass")
    feature, _ = compile_spec(data, rules.shown, digest_bytes(data), rules.agents, rules.root)
    document = read_document(rules.shown, data, rules.root)
    found = [_name_as_draft(one, rules) for one in _check_rules(feature, document, text, rules)]
    if found:
        raise SpecError(sorted(found, key=lambda p: (p.line, p.column)))
    return feature


def _name_as_draft(problem: Problem, rules: DraftRules) -> Problem:
    return replace(problem, file=rules.shown) if not problem.file else problem


def _check_rules(
    feature: Feature, document: Document, text: str, rules: DraftRules
) -> Iterator[Problem]:
    section = "cells" if "cells" in (document.value or {}) else "repos"
    if feature.name != rules.name:
        message = f"the feature is called {rules.name!r}, not {feature.name!r}"
        yield document.make_problem(["metadata", "name"], message)
    count = len(feature.cells)
    known = len(rules.existing.cells) if rules.existing is not None else FEWEST
    if not min(known, FEWEST) <= count <= max(known, MOST_CELLS):
        hint = "split it by repository and by what can be reviewed alone"
        hint = hint if count < FEWEST else "draw together what one person would review at once"
        shown = "1 cell" if count == 1 else f"{count} cells"
        message = f"{shown}: a draft has {FEWEST} to {MOST_CELLS}"
        yield document.make_problem([section], message, hint, at_key=True)
    for cell in feature.cells:
        yield from _check_cell(cell, document, section, text, rules)
    yield from _check_shared_paths(feature, document, section)
    yield from _check_contracts(feature, document, rules)
    yield from _check_tests_first(feature, document, section, rules)
    yield from _check_edges(feature, document, section, rules)


def _check_cell(
    cell: Cell, document: Document, section: str, text: str, rules: DraftRules
) -> Iterator[Problem]:
    here = [section, cell.name]
    facts = rules.facts.get(cell.repo)
    if facts is None:
        hint = suggest_name(cell.repo, rules.facts.keys())
        hint = hint or f"repositories: {', '.join(rules.facts)}"
        yield document.make_problem([*here, "repo"], f"no repository {cell.repo!r}", hint)
    if cell.action is Action.AGENT and not cell.todo:
        yield document.make_problem(here, "has no todo", "say what is to be done", at_key=True)
    checked = bool(cell.proof.checks or (facts is not None and facts.has_checks))
    if cell.proof.no_checks and not checked:
        line = document.find_place([*here, "checks"]).line
        lines = text.splitlines()
        if not (0 < line <= len(lines) and _REASON.search(lines[line - 1])):
            hint = "write the reason behind it: `checks: none # REASON`"
            yield document.make_problem([*here, "checks"], "`none` without a reason", hint)
    elif not checked:
        hint = "add one that fails without the work, or `checks: none # REASON`"
        yield document.make_problem(here, "has no checks", hint, at_key=True)
    elif Phase.CHECK not in cell.phases:
        message = "its checks never run: `phases` leaves out `check`"
        yield document.make_problem([*here, "phases"], message)
    for number, check in enumerate(cell.proof.checks):
        asks = check.kind == "api_probe" and not getattr(check, "start", ())
        if asks or any(getattr(one, "url", None) for one in getattr(check, "probes", ())):
            message = f"`{check.kind}` without a server: nothing answers in a checkout"
            hint = "an `api_probe` starts one: `start: [make, serve]`; or use another kind of check"
            yield document.make_problem([*here, "checks", number], message, hint)


def _check_shared_paths(feature: Feature, document: Document, section: str) -> Iterator[Problem]:
    counts = Counter((c.repo, path) for c in feature.cells for path in dict.fromkeys(c.owned_paths))
    for cell in feature.cells:
        for number, path in enumerate(cell.owned_paths):
            if counts[cell.repo, path] >= SHARED:
                message = f"{path!r} is owned by {counts[cell.repo, path]} cells"
                hint = f"move it to `shared_paths: [{path!r}]` of the defaults"
                yield document.make_problem(
                    [section, cell.name, "owned_paths", number], message, hint
                )


def _check_contracts(feature: Feature, document: Document, rules: DraftRules) -> Iterator[Problem]:
    """A proto or an OpenAPI document that several cells could change needs an owner."""
    is_stated = match_paths([one.path for one in feature.contracts])
    for repo, facts in rules.facts.items():
        cells = [c for c in feature.cells if c.repo == repo and c.action is Action.AGENT]
        for path in facts.contracts:
            able = [c.name for c in cells if not c.owned_paths or match_paths(c.owned_paths)(path)]
            if len(able) > 1 and not is_stated(path):
                message = f"{', '.join(able)} may all change the contract {path} of {repo}"
                hint = f"contracts: [{{path: {path}, owner: {able[0]}}}]"
                yield document.make_problem(["contracts"], message, hint)


def _check_tests_first(
    feature: Feature, document: Document, section: str, rules: DraftRules
) -> Iterator[Problem]:
    homes = [name for name, facts in rules.facts.items() if facts.is_tests]
    if not homes or not feature.cells:
        return
    first = feature.cells[0]
    if first.repo not in homes or first.depends_on:
        named = f"a cell in {homes[0]!r}"
        message = f"{named} must be the first, before any other: its tests say what is wanted"
        hint = "write tests there that sleep until the work is done (`allow_skipped_tests`)"
        yield document.make_problem([section], message, hint, at_key=True)


def _check_edges(
    feature: Feature, document: Document, section: str, rules: DraftRules
) -> Iterator[Problem]:
    """An edge makes a cell wait: code must flow along it, as the map or a contract shows."""
    homes = {cell.name: cell for cell in feature.cells}
    owners = {contract.owner for contract in feature.contracts}
    old = rules.existing.cells if rules.existing is not None else ()
    known = {(cell.name, name) for cell in old for name in cell.depends_on}
    for cell in feature.cells:
        for number, name in enumerate(cell.depends_on):
            upstream = homes.get(name)
            if upstream is None or name in owners or (cell.name, name) in known:
                continue
            if upstream.action is Action.PUSH or (
                (facts := rules.facts.get(upstream.repo)) is not None and facts.is_tests
            ):
                message = f"waits for {name!r}, whose tests it does not need to start"
            elif code_flows(rules.facts, upstream.repo, cell.repo):
                continue
            else:
                message = f"nothing shows that {cell.repo!r} uses code of {upstream.repo!r}"
            hint = f"remove the edge, or name the contract: {{path: PATH, owner: {name}}}"
            yield document.make_problem([section, cell.name, "depends_on", number], message, hint)
