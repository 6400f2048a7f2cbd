"""Look at a merged JSON, TOML or YAML file by what it means: its value must be the three-way merge
of the three values, whatever the text looks like."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import yaml

from orchestr.landing.resolve.languages import Kind, Language
from orchestr.landing.resolve.order import find_order, may_be_command
from orchestr.landing.resolve.sequence import SequenceRules, merge_sequences
from orchestr.landing.resolve.texts import ThreeTexts
from orchestr.landing.resolve.tree import Refused

Value = Any
_MISSING = object()


def verify_value(texts: ThreeTexts, merged: str, language: Language) -> None:
    """Raises Refused when the merged text does not mean both sides' edits."""
    base, ours, theirs, found = (read_value(text, language) for text in (*texts.versions, merged))
    if not is_same_value(merge_values(base, ours, theirs), found):
        raise Refused("the merged file does not mean both sides' edits")


def read_value(text: str, language: Language) -> Value:
    """What a text means; an empty one means nothing at all. Raises Refused for a text that is
    broken, or has a key twice."""
    if not text.strip():
        return _MISSING
    try:
        if language.kind is Kind.JSON:
            return json.loads(text, object_pairs_hook=_make_object)
        if language.kind is Kind.TOML:
            return tomllib.loads(text)
        return list(yaml.load_all(text, Loader=_StrictLoader))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise Refused("a version cannot be read") from error


def merge_values(base: Value, ours: Value, theirs: Value) -> Value:
    """The three-way merge of values: mappings by key, lists by what was added and taken away.
    Raises Refused where both sides changed the same value."""
    if _is_equal(ours, theirs) or _is_equal(theirs, base):
        return ours
    if _is_equal(ours, base):
        return theirs
    if isinstance(ours, dict) and isinstance(theirs, dict):
        old = base if isinstance(base, dict) else {}
        if base is not _MISSING and not isinstance(base, dict):
            raise Refused("both sides changed the same value")
        merged = {
            key: merge_values(
                old.get(key, _MISSING), ours.get(key, _MISSING), theirs.get(key, _MISSING)
            )
            for key in {**old, **ours, **theirs}
        }
        return {key: value for key, value in merged.items() if value is not _MISSING}
    if isinstance(base, list) and isinstance(ours, list) and isinstance(theirs, list):
        return _merge_lists(base, ours, theirs)
    raise Refused("both sides changed the same value")


@dataclass(frozen=True)
class _Entry:
    value: Value

    @property
    def key(self) -> str:
        return _write_value(self.value)

    @property
    def name(self) -> str | None:
        """What makes a changed entry the same one: its first key's value, as in a list of steps."""
        if isinstance(self.value, dict) and self.value:
            first = next(iter(self.value.items()))
            return _write_value(first if isinstance(first[1], (str, int)) else first[0])
        return "[]" if isinstance(self.value, (list, dict)) else None


def _merge_lists(base: list[Value], ours: list[Value], theirs: list[Value]) -> list[Value]:
    def join(mine: list[_Entry], other: list[_Entry]) -> list[_Entry]:
        known = {entry.key for entry in mine}
        words = [str(entry.value) for entry in (*mine, *other)]
        if mine != other and may_be_command(words) and not known.isdisjoint(e.key for e in other):
            raise Refused("both sides added the same word to what may be a command")
        return [*mine, *(entry for entry in other if entry.key not in known)]

    rules = SequenceRules[_Entry](
        identify=lambda entry: entry.name,
        merge=lambda old, mine, other: _Entry(merge_values(old.value, mine.value, other.value)),
        same=lambda old, new: old.key == new.key,
        join=join,
    )
    old, mine, other = ([_Entry(value) for value in side] for side in (base, ours, theirs))
    return [entry.value for entry in merge_sequences(old, mine, other, rules)]


def is_same_value(wanted: Value, found: Value) -> bool:
    """Whether two values are the same; a sorted list of words may be sorted anew."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(
            is_same_value(value, found[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            return False
        if all(is_same_value(one, other) for one, other in zip(wanted, found, strict=True)):
            return True
        words = [value for value in found if isinstance(value, str)]
        return (
            len(words) == len(found)
            and Counter(map(_write_value, wanted)) == Counter(map(_write_value, found))
            and find_order(words) is not None
        )
    return _is_equal(wanted, found)


def _is_equal(one: Value, other: Value) -> bool:
    if one is _MISSING or other is _MISSING:
        return one is other
    return _write_value(one) == _write_value(other)


def _write_value(value: Value) -> str:
    """A value as text that tells 1, 1.0, True and "1" apart; the order of keys does not count."""
    if isinstance(value, dict):
        inner = sorted(f"{_write_value(key)}:{_write_value(item)}" for key, item in value.items())
        return "{" + ",".join(inner) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_write_value, value)) + "]"
    return f"{type(value).__name__} {value!r}"


def _make_object(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice; keeps tags that it does not know beside their value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [_write_value(self.construct_object(key, deep=True)) for key, _ in node.value]
        if len(set(keys)) != len(keys):
            raise yaml.constructor.ConstructorError(None, None, "a key stands twice")
        return super().construct_mapping(node, deep=True)

    def construct_unknown(self, suffix: str, node: yaml.Node) -> Value:
        """The value below a tag of an application."""
        if isinstance(node, yaml.MappingNode):
            return [suffix, self.construct_mapping(node, deep=True)]
        if isinstance(node, yaml.SequenceNode):
            return [suffix, self.construct_sequence(node, deep=True)]
        return [suffix, str(node.value)]


_StrictLoader.add_multi_constructor("!", _StrictLoader.construct_unknown)
