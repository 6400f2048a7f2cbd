"""From spec files to records: the door that every spec passes, once.

Reports every problem of a file together, with file, line, column, field and the nearest valid
name. Past this door code trusts its input. Owns the order of reading (cache, text, models,
checks) and what holds between several specs; the parts are in the sibling modules. YAML and
pydantic are imported only when the cache has no answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestr.errors import Problem, SpecError
from orchestr.files import read_file
from orchestr.spec import cache as compiled_specs
from orchestr.spec.declare import OnlyForAgents, list_marked_fields
from orchestr.spec.field_types import MAX_BYTES
from orchestr.spec.own_phases import OwnPhase, resolve_phases
from orchestr.spec.phases import Action, Phase
from orchestr.spec.pull_request import join_options
from orchestr.spec.records import Cell, Feature


class WorkspacePaths(Protocol):
    """Where things lie: the part of `orchestr.settings.records.WorkspaceSettings` that is needed
    here."""

    @property
    def root(self) -> Path: ...
    @property
    def specs(self) -> Path: ...
    @property
    def state(self) -> Path: ...


class SpecSettings(Protocol):
    """The part of `orchestr.settings.records.Settings` that is needed here (config lies above
    spec)."""

    @property
    def workspace(self) -> WorkspacePaths: ...
    @property
    def agents(self) -> Mapping[str, Any]: ...
    @property
    def phases(self) -> Mapping[str, OwnPhase]: ...


@dataclass(frozen=True, slots=True)
class SpecSet:
    """All specs of a workspace.

    ``features`` are the good ones by name, in the order of their files. ``problems`` are the
    errors of the others, so that one bad spec does not stop another feature; ``warnings`` stop
    nothing.
    """

    features: dict[str, Feature]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def read_feature(
    path: Path,
    *,
    root: Path,
    agents: Collection[str] | None = None,
    cache: Path | None = None,
    phases: Mapping[str, OwnPhase] | None = None,
) -> tuple[Feature, tuple[Problem, ...]]:
    """The feature of one spec file, and its warnings.

    ``root`` is the workspace (paths in messages are relative to it), ``agents`` the names that
    a cell may use (None: any), ``cache`` the folder of compiled specs (None: none), ``phases``
    those that the settings define. Raises SpecError with every problem, also when the file cannot
    be read.
    """
    name = _relative_name(path, root)
    data = _read_bytes(path, name)
    digest = hashlib.sha256(data).hexdigest()
    key = compiled_specs.cache_key(name, digest, agents, phases or {})
    if cache is not None:
        known = compiled_specs.load(cache, name, key)
        if known is not None and _has_same_parts(known[0], root):
            return known
    result = compile_spec(data, name, digest, agents, root, phases)
    if cache is not None:
        compiled_specs.save(cache, name, key, result)
    return result


def _has_same_parts(feature: Feature, root: Path) -> bool:
    """Whether the files that a compiled spec took in are what they were."""
    for name, digest in feature.parts:
        try:
            if hashlib.sha256(read_file(root / name)).hexdigest() != digest:
                return False
        except OSError:
            return False
    return True


def read_all_specs(settings: SpecSettings) -> SpecSet:
    """Every ``*.yaml`` and ``*.yml`` of the specs folder. Raises nothing for a bad spec."""
    places = settings.workspace
    features: dict[str, Feature] = {}
    problems: list[Problem] = []
    warnings: list[Problem] = []
    branches: dict[tuple[str, str], tuple[str, str]] = {}
    for path in spec_files(places.specs):
        try:
            feature, notes = read_feature(
                path,
                root=places.root,
                agents=settings.agents.keys(),
                cache=places.state / "cache",
                phases=settings.phases,
            )
        except SpecError as error:
            problems += (p for p in error.problems if p.severity == "error")
            warnings += (p for p in error.problems if p.severity != "error")
            continue
        warnings += notes
        first = features.get(feature.name)
        if first is not None:
            message = f"feature `{feature.name}` is already in {first.path}"
            hint = "give one of them another name"
            problems.append(Problem(feature.path, 0, 0, "metadata.name", message, hint))
            continue
        features[feature.name] = feature
        warnings += _shared_branches(feature, branches)
    problems += _former_name_problems(features)
    return SpecSet(features, tuple(problems), tuple(warnings))


def _former_name_problems(features: dict[str, Feature]) -> Iterable[Problem]:
    """`was:` of a feature names one that is no more, and one only. A wrong one is left out."""
    heirs: dict[str, Feature] = {}
    for feature in list(features.values()):
        if feature.was is None:
            continue
        first = heirs.setdefault(feature.was, feature)
        if feature.was in features:
            message = f"feature `{feature.was}` is there still, in {features[feature.was].path}"
        elif first is not feature:
            message = f"`was: {feature.was}` is in {first.path} already"
        else:
            continue
        hint = "`was` names a feature that has this name now: remove it, or the other spec"
        yield Problem(feature.path, 0, 0, "metadata.was", message, hint)
        del features[feature.name]


def spec_files(folder: Path) -> list[Path]:
    """The spec files of a folder, sorted; hidden ones and editors' copies are left alone."""
    try:
        found = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [p for p in found if p.suffix in (".yaml", ".yml") and not p.name.startswith(".")]


def list_part_files(path: Path, root: Path) -> list[Path]:
    """The files that a spec takes in, as far as they can be read. ``root``: the workspace.

    YAML is loaded only for a spec that may name some.
    """
    try:
        data = path.read_bytes()
        if b"include" not in data and b"extends" not in data:
            return []
        from orchestr.spec.parts import PartReader
        from orchestr.spec.yaml_source import Source

        reader = PartReader(Source(_relative_name(path, root), data), root)
        reader.read()
    except (OSError, SpecError):
        return []
    return [root / part for part in reader.parts]


def compile_spec(
    data: bytes,
    name: str,
    digest: str,
    agents: Collection[str] | None,
    root: Path | None = None,
    phases: Mapping[str, OwnPhase] | None = None,
) -> tuple[Feature, tuple[Problem, ...]]:
    """Parse and check the bytes of a spec, without a cache. Raises SpecError.

    Files that it takes in are read below ``root``, the workspace.
    """
    from orchestr.spec import models, references
    from orchestr.spec.document import read_document

    parsed = read_document(name, data, root)
    model, found = models.validate_document(parsed)
    section = "cells"
    if isinstance(parsed.value, dict) and models.form_of(parsed.value) is models.OpentdfFeature:
        section = "repos"
    found = [
        *parsed.problems,
        *found,
        *references.check_document(parsed, section, agents, phases or {}),
    ]
    if model is not None:
        feature, more = _make_feature(model, parsed, name, digest, phases or {})
        found += more
    found = sorted(dict.fromkeys(found), key=lambda p: (p.spec != "", p.file, p.line, p.column))
    if parsed.is_expanded:
        found = _drop_echoes(found, parsed.problems)
    if model is None or any(p.severity == "error" for p in found):
        raise SpecError(found)
    return feature, tuple(found)


def _drop_echoes(found: list[Problem], first: Collection[Problem]) -> list[Problem]:
    """Each fault of a matrix once, although all its cells have it; and where a reference leads
    nowhere, or a matrix makes no cells (``first``), nothing about what is left there."""
    from orchestr.spec.error_messages import NO_CELL

    known = {(p.file, p.line, p.column) for p in first if p.severity == "error"}
    left: dict[tuple[str, int, int, str], Problem] = {}
    for problem in found:
        place = (problem.file, problem.line, problem.column)
        if problem in first or (place not in known and not (known and problem.message == NO_CELL)):
            left.setdefault((*place, problem.message), problem)
    return list(left.values())


def _make_feature(
    model: Any, document: Any, name: str, digest: str, phases: Mapping[str, OwnPhase]
) -> tuple[Feature, list[Problem]]:
    """The record of a valid model; defaults are filled in here and nowhere else."""
    from orchestr.spec.check_models import (
        make_cross_checks,
        make_reviewers,
        read_audit_rounds,
    )
    from orchestr.spec.check_references import check_cross_ports, check_ports
    from orchestr.spec.contract_checks import add_contract_checks, find_unlooked_contracts
    from orchestr.spec.record_models import record_values, stated_values

    stated = stated_values(Feature, model.metadata, model)
    crossed = make_cross_checks(stated.pop("cross_checks", ()))
    auditors = make_reviewers(stated.pop("auditors", ()))
    values = record_values(Feature, stated)
    key = values.get("jira") or values.get("was") or values["name"]
    problems: list[Problem] = []
    cells: list[Cell] = []
    section = "repos" if hasattr(model, "repos") else "cells"
    for cell_name, fields in getattr(model, section).items():
        cells.append(_make_cell(cell_name, key, fields, model, phases))
        problems += _branch_problems(document, (section, cell_name), cells[-1])
        problems += check_ports(document, section, cells[-1])
    problems += check_cross_ports(document, crossed)
    contracts = values.get("contracts", ())
    for index in find_unlooked_contracts(cells, contracts):
        message = f"cell {contracts[index].owner} has no phase `check`: nothing would look at this"
        hint = "add it to `phases` of the cell"
        problems.append(document.make_problem(("contracts", index), message, hint))
    made = {
        "key": key,
        "cells": tuple(add_contract_checks(cells, contracts)),
        "cross_checks": crossed,
        "auditors": auditors,
        "audit_rounds": read_audit_rounds(model),
        "path": name,
        "digest": digest,
        "parts": document.parts,
    }
    return Feature(**{"title": values["name"], **values, **made}), problems


def _make_cell(
    name: str, key: str, fields: Any, model: Any, phases: Mapping[str, OwnPhase]
) -> Cell:
    """A cell's own words, else the defaults; what only agents have stays away from a push."""
    from orchestr.spec.check_models import resolve_proof
    from orchestr.spec.record_models import make_record, record_values, stated_values

    stated = record_values(Cell, stated_values(Cell, model.defaults, fields))
    levels = [stated_values(Cell, level).get("pull_request") for level in (model.defaults, fields)]
    if any(level is not None for level in levels):  # a cell adds to what the defaults say
        options = join_options([make_record(level) for level in levels if level is not None])
        stated["pull_request"] = options
    tables = [stated_values(Cell, level).get("options", ()) for level in (model.defaults, fields)]
    if any(tables):  # the cell's come last, and go before those of the defaults
        stated["options"] = tuple(entry for entries in tables for entry in entries)
    stated |= _choose_agents(model.defaults, fields)
    made = {
        "name": name,
        "branch": f"{key}-{stated.get('was') or name}",  # a new name alone moves no branch
        "proof": resolve_proof(fields, model.defaults, model),
    }
    if not hasattr(fields, "repo"):  # the opentdf form; only its cell `tests` may name no path
        made["repo"] = fields.path or name
        made["action"] = Action.PUSH if name == "tests" else Action.AGENT
    values = {**made, **stated}
    if values.get("action") is Action.PUSH:
        for field in list_marked_fields(OnlyForAgents, Cell):
            values.pop(field, None)
    if "phases" in values:
        steps = resolve_phases(values["phases"], phases)
        if values.get("action") is Action.PUSH:  # of the defaults, only ours hold for a person
            steps = tuple(s for s in steps if isinstance(s, Phase) and s is not Phase.PLAN)
        values["phases"] = steps
    return Cell(**values)


def _choose_agents(*levels: Any) -> dict[str, Any]:
    """`agent` and `agents` of the nearest level that has one of them (the last one first); the
    first of several is the cell's agent."""
    from orchestr.spec.record_models import stated_values

    for level in reversed(levels):
        stated = stated_values(Cell, level)
        if stated.get("agents"):
            return {"agent": stated["agents"][0], "agents": tuple(stated["agents"])}
        if stated.get("agent"):
            return {"agent": stated["agent"], "agents": ()}
    return {}


def _branch_problems(document: Any, here: tuple[str, str], cell: Cell) -> list[Problem]:
    """A default branch must be one that git takes."""
    from orchestr.spec.field_types import BadValue, check_branch

    try:
        check_branch(cell.branch)
    except BadValue as error:
        return [
            document.make_problem(here, f"default branch: {error.message}", error.hint, at_key=True)
        ]
    return []


def _shared_branches(
    feature: Feature, owners: dict[tuple[str, str], tuple[str, str]]
) -> list[Problem]:
    """Warn when two features would work on one branch; the registry refuses it at the run."""
    warnings = []
    for cell in feature.cells:
        first = owners.setdefault((cell.repo, cell.branch), (feature.name, cell.name))
        if first[0] != feature.name:
            message = f"branch `{cell.branch}` is also that of {first[0]}:{first[1]}"
            hint = "only one of the two can run; write `branch:` in one of them"
            field = f"{cell.name}.branch"
            warnings.append(Problem(feature.path, 0, 0, field, message, hint, "warning"))
    return warnings


def _relative_name(path: Path, root: Path) -> str:
    try:
        return path.absolute().relative_to(root.absolute()).as_posix()
    except ValueError:
        return str(path)


def _read_bytes(path: Path, name: str) -> bytes:
    """The file's bytes. A folder, a pipe or a file without end must not hang or fill us."""
    problem = "not found"
    try:
        if path.is_file():
            with path.open("rb") as stream:
                return stream.read(MAX_BYTES + 1)
        if path.exists():
            problem = "is not a file"
    except (OSError, ValueError) as error:
        problem = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    raise SpecError([Problem(name, 0, 0, "", problem, "`orchestr list` shows the features")])
