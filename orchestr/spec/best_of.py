"""Several attempts side by side (`best_of`): how many, and whose. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestr.spec.field_types import BadValue, check_word, kind_of, suggest_name

LEAST, MOST = 2, 5
NUMBER, AGENTS = "n", "agents"
_EXAMPLE = "like 3, or {n: 3, agents: [my-agent, other]}"


@dataclass(frozen=True, slots=True)
class BestOf:
    """``n`` attempts at the same work. ``agents`` take their turns where there are more attempts;
    none: all are the cell's agent's."""

    n: int
    agents: tuple[str, ...] = ()

    def list_agents(self, usual: str) -> tuple[str, ...]:
        """The agent of each attempt, in their order.

        >>> BestOf(3, ("claude", "codex")).list_agents("gemini")
        ('claude', 'codex', 'claude')
        """
        named = self.agents or (usual,)
        return tuple(named[place % len(named)] for place in range(self.n))


def parse_best_of(raw: Any) -> BestOf:
    """A number of attempts, or a table with `n` and `agents`. Raises BadValue with the field."""
    if not isinstance(raw, Mapping):
        return BestOf(_check_number(raw))
    for word in raw:
        if word not in (NUMBER, AGENTS):
            hint = suggest_name(str(word), (NUMBER, AGENTS)) or _EXAMPLE
            raise BadValue("unknown field", hint, field=(str(word),))
    agents = _check_agents(raw[AGENTS]) if AGENTS in raw else ()
    try:
        number = _check_number(raw.get(NUMBER, len(agents)))
    except BadValue as error:
        raise BadValue(error.message, error.hint, field=(NUMBER,)) from None
    if len(agents) > number:
        raise BadValue(f"names {len(agents)} agents for {number} attempts",
                       f"`n: {len(agents)}`, or fewer agents", field=(AGENTS,))  # fmt: skip
    return BestOf(number, agents)


def _check_number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not LEAST <= value <= MOST:
        got = kind_of(value) if isinstance(value, bool) or not isinstance(value, int) else value
        raise BadValue(f"must be a whole number from {LEAST} to {MOST}, got {got}", _EXAMPLE)
    return value


def _check_agents(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise BadValue("must be a list of agents", _EXAMPLE, field=(AGENTS,))
    return tuple(_convert_agent(item) for item in value)


def _convert_agent(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValue(f"each must be a text, got {kind_of(value)}", "put it in quotes",
                       field=(AGENTS,))  # fmt: skip
    try:
        return check_word(value)
    except BadValue as error:
        raise BadValue(error.message, error.hint, field=(AGENTS,)) from None


def best_of_schema() -> dict[str, Any]:
    """The JSON schema of `best_of`."""
    number = {"type": "integer", "minimum": LEAST, "maximum": MOST,
              "description": "how many attempts work side by side", "examples": [3]}  # fmt: skip
    agents = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST,
              "description": "entries of [agents.*], in turns",
              "examples": [["my-agent", "other"]]}  # fmt: skip
    table = {"type": "object", "properties": {NUMBER: number, AGENTS: agents},
             "additionalProperties": False}  # fmt: skip
    return {"anyOf": [number, table]}
