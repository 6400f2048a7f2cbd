"""What `orchestr validate` and `orchestr schema` answer, as data; printing is the command's.

Pure but for reading the spec files through `orchestr.spec.reader`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestr.errors import Problem, SpecError, UsageError
from orchestr.spec.checks import CheckDef, list_test_checks
from orchestr.spec.field_types import quote_value, suggest_name
from orchestr.spec.goal_names import FEATURE_PREFIX
from orchestr.spec.locate import locate_cell_fields
from orchestr.spec.phases import Action, Phase
from orchestr.spec.reader import SpecSet, SpecSettings, read_all_specs, read_feature, spec_files
from orchestr.spec.records import Feature

_REFERENCE = r"\$\{[a-z][A-Za-z0-9_.-]*\}"
CELL_NAMES = f"^([a-z]|{_REFERENCE})([a-z0-9-]|{_REFERENCE})*$"


class RepoChecks(Protocol):
    """The checks that the settings give a repository."""

    @property
    def checks(self) -> tuple[CheckDef, ...]: ...
    @property
    def detect(self) -> bool: ...


class ValidationSettings(SpecSettings, Protocol):
    """The part of `orchestr.settings.loader.Settings` that validating needs."""

    @property
    def default_agent(self) -> str | None: ...

    def repo_settings(self, name: str) -> RepoChecks: ...


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """The good features, and everything wrong (``problems``) or odd (``warnings``)."""

    features: tuple[Feature, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong; warnings do not count."""
        return not self.problems


def validate_specs(
    settings: ValidationSettings, names: Sequence[str] = (), *, cwd: Path | None = None
) -> ValidationReport:
    """Check the named specs, else all. A name is a feature, a file of the specs folder
    without its suffix, or a path (relative to ``cwd``, the workspace by default).

    Raises UsageError for a name that is none of these.
    """
    everything = read_all_specs(settings)
    if not names:
        return _make_report(settings, everything)
    features: dict[str, Feature] = {}
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for name in dict.fromkeys(names):
        part = _read_named_spec(settings, everything, name, cwd or settings.workspace.root)
        features |= {feature.name: feature for feature in part.features.values()}
        problems += part.problems
        warnings += part.warnings
    chosen = SpecSet(features, tuple(dict.fromkeys(problems)), tuple(dict.fromkeys(warnings)))
    return _make_report(settings, chosen)


def expand_specs(settings: ValidationSettings, features: Sequence[Feature]) -> str:
    """Specs as YAML, as they are read: nothing taken in, no variables, no matrices.

    Several are documents after each other, each below a comment that names its file.
    """
    import yaml

    from orchestr.spec.document import read_document

    root = settings.workspace.root
    texts = []
    for feature in features:
        value = read_document(feature.path, (root / feature.path).read_bytes(), root).value
        first = ("apiVersion", "kind", "metadata", "defaults")
        value = {name: value[name] for name in dict.fromkeys([*first, *value]) if name in value}
        text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
        names = ", ".join([feature.path, *(name for name, _ in feature.parts)])
        texts.append(f"# {names}\n{text}")
    return "---\n".join(texts)


def json_schema() -> dict[str, Any]:
    """The JSON schema of a spec, in either form (draft 2020-12).

    It describes the file; what needs several values (cycles, branches) only `validate_specs` knows.
    """
    from pydantic.json_schema import models_json_schema

    from orchestr.spec.models import NativeFeature, OpentdfFeature

    forms = (NativeFeature, OpentdfFeature)
    references, schema = models_json_schema([(form, "validation") for form in forms])
    definitions = schema["$defs"]
    for form, section in ((NativeFeature, "cells"), (OpentdfFeature, "repos")):
        whole = definitions[form.__name__]
        cells = whole["properties"][section]
        by_name = cells.pop("patternProperties", {})  # the names of a matrix are others
        cells["additionalProperties"] = next(
            iter(by_name.values()), cells.get("additionalProperties")
        )
        cells["propertyNames"] = {"pattern": CELL_NAMES, "maxLength": 100}
        cell = cells["additionalProperties"]["$ref"].rpartition("/")[2]
        whole |= _needed_fields(section, whole.pop("required"), definitions[cell])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "orchestr feature spec",
        "oneOf": [references[form, "validation"] for form in forms],
        "$defs": add_examples(without_null(definitions)),
    }


def add_examples(definitions: dict[str, Any]) -> dict[str, Any]:
    """Give the fields an example that have none and whose type names one: a choice, a flag."""
    for model in definitions.values():
        for field in model.get("properties", {}).values():
            known = [*field.get("enum", []), *([field["const"]] if "const" in field else [])]
            if field.get("type") == "boolean":
                known = [True]
            elif not known and field.get("default") is not None:
                known = [field["default"]]
            if known:
                field.setdefault("examples", known)
    return definitions


def _needed_fields(section: str, names: list[str], cell: dict[str, Any]) -> dict[str, Any]:
    """What must be in a file: nothing that its base has, no cells where an include has some."""
    of_cells = {"additionalProperties": {"required": cell.pop("required", [])}}
    whole = {"required": names, "properties": {section: of_cells}}
    added = {**whole, "required": [name for name in names if name != section]}
    has_include = {"required": ["include"]}
    return {
        "if": {"required": ["extends"]},
        "else": {"if": has_include, "then": added, "else": whole},
    }


def without_null(schema: Any) -> Any:
    """Leaving a field out is the only way to say nothing: the reader refuses empty values."""
    if isinstance(schema, list):
        return [without_null(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: without_null(value) for key, value in schema.items()}
    choices = result.get("anyOf", [])
    if {"type": "null"} in choices:
        left = [choice for choice in choices if choice != {"type": "null"}]
        del result["anyOf"]
        result = {**left[0], **result} if len(left) == 1 else {**result, "anyOf": left}
    if result.get("default", ...) is None:
        del result["default"]
    return result


def _read_named_spec(
    settings: ValidationSettings, everything: SpecSet, name: str, cwd: Path
) -> SpecSet:
    word = name.removeprefix(FEATURE_PREFIX)
    if word in everything.features:
        feature = everything.features[word]
        return _part_of_file(everything, {word: feature}, feature.path)
    root = settings.workspace.root
    for path in spec_files(settings.workspace.specs):
        if word in (path.stem, path.name) or cwd / name == path:
            shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
            good = {f.name: f for f in everything.features.values() if f.path == shown}
            return _part_of_file(everything, good, shown)
    if "/" in name or name.endswith((".yaml", ".yml")):
        try:
            feature, notes = read_feature(
                cwd / name, root=root, agents=settings.agents.keys(), phases=settings.phases
            )
        except SpecError as error:
            wrong = tuple(p for p in error.problems if p.severity == "error")
            return SpecSet({}, wrong, tuple(p for p in error.problems if p not in wrong))
        return SpecSet({feature.name: feature}, (), notes)
    hint = suggest_name(word, everything.features) or "`orchestr list` shows the features"
    raise UsageError(f"there is no feature {quote_value(word)}", hint=hint)


def _part_of_file(everything: SpecSet, features: dict[str, Feature], file: str) -> SpecSet:
    return SpecSet(
        features,
        tuple(p for p in everything.problems if p.spec_file == file),
        tuple(p for p in everything.warnings if p.spec_file == file),
    )


def _make_report(settings: ValidationSettings, found: SpecSet) -> ValidationReport:
    features = tuple(found.features.values())
    missing = [] if settings.default_agent else [_without_agent(f) for f in features]
    missing += [_without_check(settings, feature) for feature in features]
    missing += [_without_proof_of_tests(settings, feature) for feature in features]
    warnings = (*found.warnings, *(problem for problem in missing if problem))
    return ValidationReport(features, found.problems, warnings)


def _without_check(settings: ValidationSettings, feature: Feature) -> Problem | None:
    """A cell that nothing checks, where its spec does not say so on purpose."""
    bare = []
    for cell in feature.cells:
        repo = settings.repo_settings(cell.repo)
        listed = Phase.CHECK in cell.phases and (cell.proof.checks or repo.checks or repo.detect)
        if not listed and not cell.proof.no_checks:
            bare.append(cell.name)
    if not bare:
        return None
    message = f"no check for {_list_names(bare)}: nothing shows that the work is right"
    hint = "add `checks:` (`orchestr plan` proposes some), or state it with `checks: none`"
    return _warn_of_cells(settings, feature, bare, message, hint)


def _without_proof_of_tests(settings: ValidationSettings, feature: Feature) -> Problem | None:
    """A cell with `test_first: true` and nothing that could show it."""
    bare = []
    for cell in feature.cells:
        repo = settings.repo_settings(cell.repo)
        checks = (*repo.checks, *cell.proof.checks) if Phase.CHECK in cell.phases else ()
        detects = repo.detect and not cell.proof.no_checks and Phase.CHECK in cell.phases
        if cell.proof.test_first and not detects and not list_test_checks(checks):
            bare.append(cell.name)
    if not bare:
        return None
    message = f"test_first cannot be shown for {_list_names(bare)}: no check there runs tests"
    hint = "add one to `checks:` (`orchestr plan` proposes some), or leave out `test_first`"
    return _warn_of_cells(settings, feature, bare, message, hint)


def _warn_of_cells(
    settings: ValidationSettings, feature: Feature, cells: Sequence[str], message: str, hint: str
) -> Problem:
    """A warning at the first of the cells."""
    root = settings.workspace.root
    (place,) = locate_cell_fields(root, feature.path, [cells[:1]], at_key=True)
    return Problem(*place, "", message, hint, "warning")


def _list_names(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _without_agent(feature: Feature) -> Problem | None:
    """A cell that names no agent where the settings choose none cannot run."""
    bare = [c.name for c in feature.cells if c.action is Action.AGENT and c.agent is None]
    if not bare:
        return None
    message = f"no agent is named for {_list_names(bare)}, and the settings have no default"
    hint = 'write `agent:` there, or [agents] default = "..." in orchestr.toml'
    return Problem(feature.path, 0, 0, "", message, hint, "warning")
