"""The tools for specs: validate, schema, and draft, the only one that writes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from orchestr.commands.base import drafting
from orchestr.commands.base.inside_attempt import refuse_inside_attempt
from orchestr.commands.base.intent_file import (
    read_known_intent,
    refuse_other_words,
    write_intent,
)
from orchestr.commands.base.spec_problems import find_problems
from orchestr.commands.mcp_tools.tool import (
    MOST_SPEC,
    Arguments,
    Name,
    SpecText,
    Tool,
    problem_value,
)
from orchestr.draft.files import digest_bytes
from orchestr.draft.hand_in import hand_in_draft
from orchestr.draft.intent import Intent
from orchestr.errors import Problem, SpecError, UsageError
from orchestr.files import display_path
from orchestr.run.workspace import Session
from orchestr.spec.reader import compile_spec
from orchestr.spec.records import Feature
from orchestr.spec.validate import ValidationReport, json_schema, validate_specs

MOST_INTENT = 64 << 10  # characters
AUTHOR = "a client of orchestr mcp"


class ValidateArguments(Arguments):
    """`validate`."""

    spec: Annotated[
        SpecText | None, Field(description="the text of a spec, YAML; it need not lie anywhere")
    ] = None
    names: Annotated[
        list[Name],
        Field(
            default_factory=list,
            max_length=50,
            description="features, or paths of specs in the workspace; without both: all specs",
        ),
    ]


class SchemaArguments(Arguments):
    """`schema`."""

    part: Annotated[
        Name | None,
        Field(description="only this definition, by its name in `$defs`; without: their names"),
    ] = None


class DraftArguments(Arguments):
    """`draft`."""

    name: Annotated[Name, Field(description="the feature's name", examples=["mldsa"])]
    spec: Annotated[SpecText, Field(description="the whole spec, YAML")]
    intent: Annotated[
        str | None,
        Field(
            max_length=MOST_INTENT,
            description="what is wanted and why, in the person's words; may be left out where "
            "specs/NAME.md has it already",
        ),
    ] = None
    replace: Annotated[
        bool, Field(description="replace a draft that an agent of orchestr or a template made")
    ] = False


def validate_spec(session: Session, given: ValidateArguments) -> dict[str, Any]:
    """What `validate` finds, each problem with its place."""
    if given.spec is not None and given.names:
        raise UsageError("give a spec or names, not both", hint="call validate twice")
    if given.spec is not None:
        report = _read_text(session, given.spec)
    else:
        for name in given.names:
            _refuse_outside(session, name)
        report = validate_specs(session.settings, given.names)
    found = find_problems(session.settings, report)
    return {
        "good": found.is_good,
        "problems": [problem_value(problem) for problem in found.problems],
        "features": [
            {"name": feature.name, "file": feature.path, "cells": [c.name for c in feature.cells]}
            for feature in report.features
            if not found.is_refused(feature)
        ],
    }


def _read_text(session: Session, text: str) -> ValidationReport:
    """The report of a text, read as if it lay among the specs."""
    settings = session.settings
    shown = f"{display_path(settings.workspace.specs, session.root)}/(text)"
    data = text.encode("utf-8", "surrogatepass")
    features: tuple[Feature, ...] = ()
    problems: tuple[Problem, ...] = ()
    try:
        feature, warnings = compile_spec(
            data, shown, digest_bytes(data), settings.agents.keys(), session.root, settings.phases
        )
        features = (feature,)
    except SpecError as error:
        problems = tuple(one for one in error.problems if one.severity == "error")
        warnings = tuple(one for one in error.problems if one.severity != "error")
    return ValidationReport(features, problems, tuple(warnings))


def _refuse_outside(session: Session, name: str) -> None:
    """A path is one of the workspace: an error would quote lines of any other file. Raises
    UsageError."""
    if "\0" in name:
        raise UsageError("a name with a NUL character", hint="names of features: orchestr list")
    if "/" not in name and not name.endswith((".yaml", ".yml")):
        return
    places = session.settings.workspace
    path = (session.root / name).resolve()
    if not any(path.is_relative_to(place.resolve()) for place in (session.root, places.specs)):
        raise UsageError(
            f"{name} is outside the workspace", hint="give the text of the spec itself, as `spec`"
        )
    if path.exists() and not path.is_file():
        raise UsageError(f"{name} is no file", hint="names of features: orchestr list")


def show_schema(session: Session, given: SchemaArguments) -> dict[str, Any]:
    """The top of the JSON schema of a spec, or one definition of it."""
    whole = json_schema()
    definitions = whole["$defs"]
    if given.part is None:
        cell = definitions["NativeFeature"]
        return {"schema": cell, "parts": sorted(definitions)}
    if given.part not in definitions:
        raise UsageError(
            f"the schema has no definition {given.part!r}", hint=", ".join(sorted(definitions))
        )
    return {"schema": definitions[given.part], "parts": sorted(definitions)}


def draft_spec(session: Session, given: DraftArguments) -> dict[str, Any]:
    """Keep a spec as the draft of a feature, for `approve spec:NAME`, which is a person's."""
    refuse_inside_attempt("orchestr draft", [given.name], cwd=session.root)
    places = drafting.find_places(session, given.name)
    with drafting.hold_draft(session, given.name):
        known = read_known_intent(session, places)
        new: Intent | None = None
        if given.intent is not None and given.intent.strip():
            refuse_other_words(session, places, known, given.intent)
            if known is None:
                new = Intent(given.name, given.intent)
        elif known is None:
            feature = session.specs.features.get(given.name)
            if feature is None:
                raise UsageError(
                    "what is wanted? There are no words", hint="give the person's as `intent`"
                )
            words = feature.intent or feature.title
            new = Intent(given.name, words)
        notes: list[str] = []
        saved: list[str] = []

        def keep_intent() -> None:
            if new is not None:
                saved.append(write_intent(session, places, new))

        work = drafting.make_draft_work(session, given.name, unwritten=new)
        work.say, work.ask = notes.append, None
        record, feature, made = hand_in_draft(
            work, given.spec, AUTHOR, replace=given.replace, write_intent=keep_intent
        )
    return {
        "name": given.name,
        "file": display_path(places.spec, session.root),
        "made": made,
        "cells": [
            {"name": cell.name, "repo": cell.repo, "depends_on": list(cell.depends_on)}
            for cell in feature.cells
        ],
        "intent": saved[0] if saved else None,
        "notes": notes,
        "drafted_at": record.drafted_at,
        "next": f"a person looks at it and says yes: orchestr approve spec:{given.name}",
    }


SPEC_TOOLS: tuple[Tool[Any], ...] = (
    Tool(
        "validate",
        "Check a spec",
        "Every problem of a spec at once, with file, line, column and a hint: of a text before it "
        "is written anywhere, of named specs, or of all.",
        ValidateArguments,
        validate_spec,
        {"good": "boolean", "problems": "array", "features": "array"},
    ),
    Tool(
        "schema",
        "The JSON schema of a spec",
        "The fields of a spec with descriptions and examples. Without `part` the top; `parts` are "
        "the names of its definitions (cells, checks, ...), each of which can be asked for.",
        SchemaArguments,
        show_schema,
        {"schema": "object", "parts": "array"},
    ),
    Tool(
        "draft",
        "Hand in a draft",
        "Keep a spec that you wrote as the draft of a feature, after the rules of orchestr's own "
        "drafts; what is wrong comes back with its lines. It writes .orchestr/drafts/NAME and, "
        "where there is none, the intent specs/NAME.md. It starts nothing and approves nothing: a "
        f"person runs `orchestr approve spec:NAME`. At most {MOST_SPEC >> 10} KiB.",
        DraftArguments,
        draft_spec,
        {"name": "string", "file": "string", "made": "boolean", "cells": "array"},
        writes=True,
    ),
)
