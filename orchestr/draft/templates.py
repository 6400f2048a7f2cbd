"""Drafting without an agent: a catalogue of specs with places to fill in.

A template is a data file of the package (`templates/NAME.yaml`): `title`, `for`, `questions`, and
under `spec` the form of the feature. `<key>` stands for the answer to a question; `each: key` makes
one cell (or contract) of every entry of a list, `only_with: key` leaves a part out where the answer
is empty, and `<checks:key>` are the checks that fit the repository of that answer. Values are put
into parsed YAML, never into its text, so no answer can become syntax.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from orchestr.errors import UsageError
from orchestr.spec.field_types import suggest_name

FOLDER = Path(__file__).with_name("templates")
KINDS = ("text", "list", "repo", "repos")
NO_CHECK = (
    "checks: none # no check was found in its repository: name one that fails without the work"
)
SHORT = 60  # characters of a list that stays on one line
_PLACE = re.compile(r"<([a-z_]+(?::[a-z_]+)?)>")
_DROPPED = object()  # a value that was left empty: what holds it goes


@dataclass(frozen=True, slots=True)
class TemplateQuestion:
    """``kind``: text, list, repo or repos (names of repositories). ``default`` is taken where
    nothing is answered; without one an answer is needed, unless it is ``optional``."""

    key: str
    ask: str
    kind: str = "text"
    default: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """``data`` are the bytes of its file: a changed template makes another draft."""

    name: str
    title: str
    purpose: str
    questions: tuple[TemplateQuestion, ...]
    spec: Mapping[str, Any]
    data: bytes


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """What a template is filled in with beside the answers: the name and words of the feature, the
    repositories that there are, and their checks (None: the settings have some; empty: none)."""

    name: str
    intent: str
    repositories: Sequence[str]
    find_checks: Callable[[str], list[Any] | None]


def list_templates() -> tuple[str, ...]:
    """The names of the templates, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@cache
def find_template(name: str) -> Template:
    """A template by its name. Raises UsageError."""
    known = list_templates()
    if name not in known:
        hint = suggest_name(name, known) or f"templates: {', '.join(known)}"
        raise UsageError(f"there is no template {name!r}", hint=hint)
    import yaml

    data = (FOLDER / f"{name}.yaml").read_bytes()
    value = yaml.safe_load(data)
    questions = tuple(TemplateQuestion(**item) for item in value["questions"])
    return Template(name, value["title"], value["for"], questions, value["spec"], data)


def describe_templates() -> str:
    """The catalogue, a line for each template."""
    found = [find_template(name) for name in list_templates()]
    width = max(len(one.name) for one in found)
    return "".join(f"  {one.name:{width}}  {one.title}\n" for one in found)


def list_open_questions(
    template: Template, values: Mapping[str, str]
) -> tuple[TemplateQuestion, ...]:
    """The questions that have no answer yet. Raises UsageError for a value that none asks for."""
    keys = [question.key for question in template.questions]
    for key in values:
        if key not in keys:
            hint = suggest_name(key, keys) or f"its keys: {', '.join(keys)}"
            raise UsageError(f"template {template.name} has no {key!r}", hint=hint)
    return tuple(one for one in template.questions if one.key not in values)


def fill_template(template: Template, values: Mapping[str, str], facts: TemplateFacts) -> str:
    """The YAML of a spec. Raises UsageError for answers that are missing or name no repository."""
    answers: dict[str, Any] = {"name": facts.name, "intent": facts.intent or None}
    missing = []
    for question in template.questions:
        given = values.get(question.key, "").strip()
        given = given or question.default.replace("<name>", facts.name)
        if not given and not question.optional:
            missing.append(question)
        answers[question.key] = _read_answer(question, given, facts)
    if missing:
        asked = "".join(f"\n  {one.key}: {one.ask}" for one in missing)
        flags = " ".join(f"--set={one.key}=VALUE" for one in missing)
        raise UsageError(
            f"template {template.name} needs more answers:{asked}",
            hint=f"orchestr draft {facts.name} {flags}",
        )
    filled = _Filler(answers, facts).fill_value(template.spec)
    text = _dump_yaml(filled)
    text = re.sub(r"^(\s+)checks: none$", rf"\1{NO_CHECK}", text, flags=re.MULTILINE)
    return f"# Made from the template {template.name}: edit it as you like.\n{text}"


def _dump_yaml(value: Any) -> str:
    """YAML as people write it: short lists on one line, long texts on lines of their own."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

        def represent_sequence(self, tag: Any, items: Any, flow_style: Any = None) -> Any:
            return super().represent_sequence(tag, items, _is_short(items))

        def represent_mapping(self, tag: Any, pairs: Any, flow_style: Any = None) -> Any:
            return super().represent_mapping(tag, pairs, _is_short(pairs.values()))

    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10_000)


def _is_short(items: Any) -> bool:
    """Whether a list or mapping fits on the line of its key."""
    inner = [x for one in items for x in (one.values() if isinstance(one, dict) else [one])]
    plain = not any(isinstance(one, dict | list) and one for one in inner)
    return plain and sum(len(str(one)) for one in inner) < SHORT


def _read_answer(question: TemplateQuestion, given: str, facts: TemplateFacts) -> Any:
    if not given:
        return None
    parts = [part.strip() for part in given.split(",") if part.strip()]
    if question.kind in ("repo", "repos"):
        for part in parts if question.kind == "repos" else [given]:
            if part not in facts.repositories:
                known = facts.repositories
                hint = suggest_name(part, known) or f"repositories: {', '.join(known)}"
                raise UsageError(f"{question.key}: there is no repository {part!r}", hint=hint)
    return parts if question.kind in ("list", "repos") else given


class _Filler:
    """Answers put into the parts of a template."""

    def __init__(self, answers: Mapping[str, Any], facts: TemplateFacts) -> None:
        self._answers, self._facts = answers, facts

    def fill_value(self, value: Any) -> Any:
        """The value with its places filled in; `_DROPPED` where an answer is empty."""
        if isinstance(value, str):
            return self._fill_text(value)
        if isinstance(value, list):
            return self._fill_list(value)
        if isinstance(value, dict):
            if "each" in value and "item" in value:
                items = self._answers.get(value["each"]) or []
                return [
                    self._with_answer(value["each"], one).fill_value(value["item"]) for one in items
                ]
            return self._fill_mapping(value)
        return value

    def _with_answer(self, key: str, value: str) -> _Filler:
        return _Filler({**self._answers, key: value}, self._facts)

    def _fill_text(self, text: str) -> Any:
        whole = _PLACE.fullmatch(text)
        if whole is not None:
            found = self._find_value(whole[1])
            return _DROPPED if found in (None, "", []) else found
        if any(self._find_value(one) in (None, "", []) for one in _PLACE.findall(text)):
            return _DROPPED
        return _PLACE.sub(lambda place: _join_values(self._find_value(place[1])), text)

    def _find_value(self, key: str) -> Any:
        kind, _, name = key.partition(":")
        if kind != "checks" or not name:
            return self._answers.get(key)
        found = self._facts.find_checks(str(self._answers.get(name)))
        return None if found is None else found or "none"

    def _fill_list(self, items: list[Any]) -> list[Any]:
        found: list[Any] = []
        for item in items:
            filled = self.fill_value(item)
            if filled is _DROPPED:
                continue
            whole = isinstance(item, str) and _PLACE.fullmatch(item) is not None
            found += filled if whole and isinstance(filled, list) else [filled]
        return found

    def _fill_mapping(self, value: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in value.items():
            each = item.get("each") if isinstance(item, dict) and "item" not in item else None
            if each is not None:
                rest = {k: v for k, v in item.items() if k != "each"}
                for one in self._answers.get(each) or []:
                    name = _PLACE.sub(_make_cell_name(one), key)
                    found[name] = self._with_answer(each, one).fill_value(rest)
                continue
            if isinstance(item, dict) and "only_with" in item:
                if not self._answers.get(item["only_with"]):
                    continue
                item = {k: v for k, v in item.items() if k != "only_with"}
            filled = self.fill_value(item)
            if filled is not _DROPPED and filled != []:
                found[key] = filled
        return found


def _join_values(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _make_cell_name(repo: str) -> str:
    """A cell's name from that of a repository."""
    return re.sub(r"[^a-z0-9]+", "-", repo.lower()).strip("-") or "cell"
