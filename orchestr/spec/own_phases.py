"""Phases of one's own: what a cell does between its worktree and its pull request beside the five.

A phase is an agent's (``prompt``) or a command (``run``). What it changes becomes part of the
cell's result, so it stands between `implement` and `check`; with ``output`` it changes nothing and
gives out JSON, and may stand anywhere. A definition is an item of a spec's ``phases:``, or a table
``[phases.NAME]`` of the settings that an item names. Its fields are declared once, in `FIELDS`:
for both files, the two JSON schemas and the digest.

`arrange_phases` is the one place that says in which order the phases of a cell run; plans, tasks
and views read it as `Cell.task_phases`.
"""
# Types are real objects here, not texts: a warm start reads them without compiling each.

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from orchestr.spec.answer_schema import check_schema
from orchestr.spec.check_field_types import check_argument, check_argv
from orchestr.spec.field_types import (
    BadValue,
    check_glob,
    check_line,
    check_word,
    kind_of,
    parse_duration,
    quote_value,
    suggest_name,
)
from orchestr.spec.path_patterns import check_path_pattern
from orchestr.spec.phases import LISTED, Phase

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_OUTPUT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.json")
AUTHOR = Phase.IMPLEMENT.value  # whose session a phase may go on with
COMMAND = "phase:"  # begins the name under which the command of a phase works
NO_NAME = ("land", "audit", "cell", "feature")  # words that mean something else already


@dataclass(frozen=True, slots=True)
class OwnPhase:
    """One phase of one's own, or (``is_named``) the name of one that the settings define.

    ``run`` are words of a command, ``prompt`` a file of the workspace. ``schema`` is JSON text,
    ``timeout`` seconds; None is what holds for the cell. ``repair`` is how often its agent is asked
    again when its work is refused.
    """

    name: str
    is_named: bool = False
    agent: str | None = None
    model: str | None = None
    prompt: str | None = None
    continues: str | None = None
    run: tuple[str, ...] = ()
    output: str | None = None
    schema: str | None = None
    when: str | None = None
    needs: tuple[str, ...] = ()
    owned_paths: tuple[str, ...] = ()
    repair: int = 1
    timeout: float | None = None
    budget_usd: float | None = None

    @property
    def changes_files(self) -> bool:
        """Whether what it changes in the worktree becomes part of the result."""
        return self.output is None

    @property
    def digest_row(self) -> dict[str, Any]:
        """The definition as a digest contains it: what has its default is left out, and so are
        limits, which change nothing that was made within them."""
        passing = ("name", "is_named", "repair", "timeout", "budget_usd")
        return {k: v for k, v in asdict(self).items() if v and k not in passing}


Step = Phase | OwnPhase  # what `Cell.phases` holds


def _check_text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValue(f"must be a text, got {kind_of(value)}", "put it in quotes")
    return check_line(value)


def _check_file(value: Any) -> str:
    return check_glob(_check_text(value), "workspace")


def _check_author(value: Any) -> str:
    if value != AUTHOR:
        raise BadValue("only the session of `implement` can be gone on with", "write `implement`")
    return AUTHOR


def _check_command(value: Any) -> tuple[str, ...]:
    words = check_argv(value)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise BadValue("must be a list of words", "like [make, proto]")
    return tuple(map(check_argument, words))


def _check_output(value: Any) -> str:
    text = _check_text(value)
    if not _OUTPUT.fullmatch(text):
        raise BadValue(f"{quote_value(text)} is no name of a JSON file", "like verdict.json")
    return text


def _check_answer_schema(value: Any) -> str:
    check_schema(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _check_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadValue(f"must be a list of phases, got {kind_of(value)}", "like [classify]")
    return tuple(dict.fromkeys(value))


def _check_patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadValue(f"must be a list of patterns, got {kind_of(value)}", 'like ["docs/**"]')
    return tuple(map(check_path_pattern, value))


def _check_rounds(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 20:
        raise BadValue("must be a whole number from 0 to 20", "like 1")
    return value


def _check_dollars(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise BadValue("must be dollars, more than zero", "like 2.5")
    return float(value)


@dataclass(frozen=True, slots=True)
class PhaseField:
    """One field: what makes its value, what it means, an example, its JSON schema."""

    convert: Callable[[Any], Any]
    text: str
    example: Any
    form: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


_TEXTS = {"type": "array", "items": {"type": "string"}}
FIELDS: Mapping[str, PhaseField] = {
    "agent": PhaseField(
        lambda value: check_word(_check_text(value)),
        "an entry of [agents.*]; default: the cell's agent",
        "claude",
    ),
    "model": PhaseField(
        lambda value: check_word(_check_text(value)), "passed to the agent", "my-model"
    ),
    "prompt": PhaseField(
        _check_file, "an agent works: its prompt, a file of the workspace", "prompts/docs.md"
    ),
    "continues": PhaseField(
        _check_author, "`implement`: the author's session goes on", AUTHOR, {"enum": [AUTHOR]}
    ),
    "run": PhaseField(
        _check_command, "a command works: its words", ["make", "proto"], {**_TEXTS, "minItems": 1}
    ),
    "output": PhaseField(
        _check_output, "it changes no file and gives out JSON of this name", "verdict.json"
    ),
    "schema": PhaseField(
        _check_answer_schema,
        "JSON schema of its output",
        {"type": "object", "properties": {"risk": {"type": "integer"}}, "required": ["risk"]},
        {"type": "object"},
    ),
    "when": PhaseField(
        _check_text,
        "an expression over outputs of phases before it; false: the phase is passed over",
        "classify['risk'] > 2",
    ),
    "needs": PhaseField(
        _check_names, "phases before it whose results it reads", ["classify"], _TEXTS
    ),
    "owned_paths": PhaseField(
        _check_patterns, "gitignore patterns; it may change nothing else", ["docs/**"], _TEXTS
    ),
    "repair": PhaseField(
        _check_rounds,
        "how often its agent is asked again when its work is refused",
        2,
        {"type": "integer", "minimum": 0, "maximum": 20},
    ),
    "timeout": PhaseField(
        parse_duration,
        "of one try; default: the cell's",
        "10m",
        {"anyOf": [{"type": "string"}, {"type": "integer", "exclusiveMinimum": 0}]},
    ),
    "budget_usd": PhaseField(
        _check_dollars,
        "dollars that one try may take",
        2.5,
        {"type": "number", "exclusiveMinimum": 0},
    ),
}
ONLY_AGENTS = ("agent", "model", "continues", "repair", "budget_usd")


def check_phase_name(name: str) -> str:
    """The name of a phase of one's own: a word that an expression can read. Raises BadValue."""
    if name in set(Phase):
        raise BadValue(
            f"`{name}` is a phase of orchestr's own", f"give it another name, or write `- {name}`"
        )
    if name in NO_NAME:
        raise BadValue(f"`{name}` cannot be the name of a phase", "give it another name")
    if not _NAME.fullmatch(name):
        hint = "small letters, digits and `_`, beginning with a letter, like find_plan"
        raise BadValue(f"{quote_value(name)} cannot be the name of a phase", hint)
    return name


def make_phase(name: str, values: Mapping[str, Any]) -> OwnPhase:
    """A phase of converted values. Raises BadValue for what does not go together."""
    phase = OwnPhase(check_phase_name(name), **values)
    if (phase.prompt is None) == (not phase.run):
        hint = "`prompt: FILE` for an agent, or `run: [WORD, ...]` for a command"
        raise BadValue(f"phase `{name}` needs either `prompt` or `run`", hint)
    for word in ONLY_AGENTS if phase.run else ():
        if word in values:
            raise BadValue("is for phases with a `prompt`", "remove it", field=(word,))
    if phase.continues is not None and (phase.agent or phase.model):
        word = "agent" if phase.agent else "model"
        hint = f"remove it, or `continues: {AUTHOR}`"
        raise BadValue("the session that goes on has its own", hint, field=(word,))
    if phase.schema is not None and phase.output is None:
        raise BadValue("needs `output`", "like `output: verdict.json`", field=("schema",))
    if phase.owned_paths and phase.output is not None:
        hint = "remove it, or `output`"
        raise BadValue("a phase with `output` changes no file", hint, field=("owned_paths",))
    return phase


def read_phase(raw: Mapping[str, Any]) -> OwnPhase:
    """A phase as an item of ``phases:`` states it. Raises BadValue with the field."""
    name = raw.get("name")
    if not isinstance(name, str):
        raise BadValue("a phase needs a `name`", "like {name: docs, prompt: prompts/docs.md}")
    try:
        check_phase_name(name)
    except BadValue as error:
        raise BadValue(error.message, error.hint, field=("name",)) from None
    values = {}
    for word, value in raw.items():
        if word == "name":
            continue
        if word not in FIELDS:
            hint = suggest_name(str(word), ("name", *FIELDS))
            raise BadValue("unknown field", hint, field=(str(word),))
        try:
            values[word] = FIELDS[word].convert(value)
        except BadValue as error:
            raise BadValue(error.message, error.hint, field=(word, *error.field)) from None
    return make_phase(name, values)


def parse_phases(items: list[Any]) -> tuple[Step, ...]:
    """The phases that a spec lists, in their order; `worktree` is implied and dropped, unless a
    phase of one's own comes right after it.

    A name that is none of orchestr's is one of the settings' (`resolve_phases`). Raises BadValue
    for the first thing wrong.
    """
    steps: list[Step] = []
    for index, item in enumerate(items):
        try:
            steps.append(_parse_item(item))
        except BadValue as error:
            where: tuple[Any, ...] = (index, *error.field) if isinstance(item, dict) else ()
            raise BadValue(error.message, error.hint, field=where) from None
    _refuse_repeats(steps)
    ours = [step for step in steps if isinstance(step, Phase)]
    order = ", ".join(LISTED)
    if len(set(ours)) != len(ours):
        raise BadValue("a phase is named twice", f"the order is: {order}")
    if sorted(ours, key=list(Phase).index) != ours:
        raise BadValue("phases are not in their order", f"the order is: {order}")
    if Phase.PUBLISH in ours and steps[-1] is not Phase.PUBLISH:
        last = steps[-1]
        name = last.name if isinstance(last, OwnPhase) else ""
        raise BadValue(f"`{name}` comes after `publish`", "nothing is done after it: move it up")
    kept = tuple(step for step in steps if step is not Phase.WORKTREE)
    if not any(isinstance(step, Phase) for step in kept):
        raise BadValue("no phase is left", f"choose from: {', '.join(LISTED[1:])}")
    return kept


def _parse_item(item: Any) -> Step:
    if isinstance(item, dict):
        return read_phase(item)
    if not isinstance(item, str):
        raise BadValue(f"must be a name or a mapping, got {kind_of(item)}", "like `- check`")
    if item == "land":
        hint = "write `delivery: merge`, or land with `orchestr land`"
        raise BadValue("`land` is no phase to list", hint)
    if item in set(Phase):
        return Phase(item)
    if not _NAME.fullmatch(item):
        raise BadValue(f"unknown phase {quote_value(item)}", suggest_name(item, list(Phase)))
    return OwnPhase(item, is_named=True)


def _refuse_repeats(steps: Iterable[Step]) -> None:
    seen: set[str] = set()
    for step in steps:
        if isinstance(step, OwnPhase):
            if step.name in seen:
                raise BadValue(f"two phases are called {quote_value(step.name)}", "rename one")
            seen.add(step.name)


def resolve_phases(steps: Iterable[Step], known: Mapping[str, OwnPhase]) -> tuple[Step, ...]:
    """The steps with the settings' definitions in place of their names; a name without one stays
    (`orchestr.spec.check_phases` has reported it)."""
    return tuple(
        known.get(step.name, step) if isinstance(step, OwnPhase) and step.is_named else step
        for step in steps
    )


def own_phases(steps: Iterable[Step]) -> tuple[OwnPhase, ...]:
    """Those of one's own, in their order."""
    return tuple(step for step in steps if isinstance(step, OwnPhase))


def find_anchors(steps: Iterable[Step]) -> dict[str, Phase]:
    """Phase of one's own -> the last of orchestr's phases that is listed before it."""
    anchors: dict[str, Phase] = {}
    last = Phase.WORKTREE
    for step in steps:
        if isinstance(step, OwnPhase):
            anchors[step.name] = last
        else:
            last = step
    return anchors


def arrange_phases(usual: Iterable[Phase], steps: Iterable[Step]) -> tuple[str, ...]:
    """The names of all phases of a cell in the order in which they run: orchestr's (``usual``),
    each followed by those of one's own that the spec lists after it."""
    anchors = find_anchors(steps)
    order: list[str] = []
    for phase in usual:
        order.append(phase)
        order += [name for name, anchor in anchors.items() if anchor is phase]
    return tuple(order)


def merge_orders(orders: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """One order for several cells, for a table of all: orchestr's phases, each of one's own behind
    what it follows in the cell that has it first."""
    merged: list[str] = list(Phase)
    for steps in orders:
        for before, name in pairwise(steps):
            if name not in merged:
                merged.insert(merged.index(before) + 1, name)
    return tuple(merged)


def change_result(phases: Iterable[str]) -> bool:
    """Whether `implement` or a phase of one's own is among these: a result may be another then."""
    return any(phase == Phase.IMPLEMENT or phase not in set(Phase) for phase in phases)


def phase_schema(*, named: bool) -> dict[str, Any]:
    """The JSON schema of a definition; ``named``: with its `name`, as a spec has it."""
    fields = {
        word: {**one.form, "description": one.text, "examples": [one.example]}
        for word, one in FIELDS.items()
    }
    name = {"type": "string", "pattern": "^[a-z][a-z0-9_]*$", "description": "of the phase",
            "examples": ["docs"]}  # fmt: skip
    return {
        "type": "object",
        "properties": {"name": name, **fields} if named else fields,
        **({"required": ["name"]} if named else {}),
        "additionalProperties": False,
    }


def phases_schema() -> dict[str, Any]:
    """The JSON schema of ``phases:``."""
    item = {"anyOf": [{"enum": [p.value for p in Phase]}, {"type": "string",
            "pattern": "^[a-z][a-z0-9_]*$"}, phase_schema(named=True)]}  # fmt: skip
    return {"type": "array", "items": item}
