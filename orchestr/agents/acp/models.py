"""Which model a session has, and how the one that was asked for is chosen.

Pure. Agents offer models as an option of the session (`configOptions` of the category `model`) or,
by an earlier form of the protocol, as `models`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MOST = 12  # models that are named in a reason


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """``value`` is the agent's id of the model, ``option`` the option to set (empty: by the
    earlier form). ``is_set``: it is the model already. ``problem`` is why there is no choice."""

    value: str = ""
    option: str = ""
    is_set: bool = False
    problem: str = ""


def choose_model(opened: Mapping[str, Any], wanted: str) -> ModelChoice:
    """The choice for the model ``wanted``: an id or a name that the agent offers.

    ``opened`` is the agent's answer to `session/new` or `session/load`.
    """
    option, current, offered = _read_offer(opened)
    if not offered:
        return ModelChoice(
            problem=f"it offers no choice of a model: name {wanted!r} in `run`, `args` or `env` of "
            "the agent instead of `model`"
        )
    asked = wanted.lower()
    for value, name in offered.items():
        if asked in (value.lower(), name.lower()):
            return ModelChoice(value, option, value == current)
    ends = [value for value in offered if value.lower().rpartition("/")[2] == asked]
    if len(ends) == 1:
        return ModelChoice(ends[0], option, ends[0] == current)
    names = ", ".join(list(offered)[:MOST]) + (", ..." if len(offered) > MOST else "")
    return ModelChoice(problem=f"it has no model {wanted!r}; it has: {names}")


def describe_models(opened: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    """(option, the current model's id, all ids); empty where the agent does not say."""
    option, current, offered = _read_offer(opened)
    return option, current, tuple(offered)


def _read_offer(opened: Mapping[str, Any]) -> tuple[str, str, dict[str, str]]:
    for option in _mappings(opened.get("configOptions")):
        if "model" in (option.get("category"), option.get("id")) and option.get("options"):
            values = dict(_read_values(option.get("options")))
            return str(option.get("id")), str(option.get("currentValue") or ""), values
    models = opened.get("models")
    if isinstance(models, Mapping):
        offered = {str(one.get("modelId")): str(one.get("name") or "")
                   for one in _mappings(models.get("availableModels"))}  # fmt: skip
        return "", str(models.get("currentModelId") or ""), offered
    return "", "", {}


def _read_values(options: Any) -> Iterator[tuple[str, str]]:
    """(id, name) of the values of an option, those in groups, too."""
    for one in _mappings(options):
        if isinstance(one.get("options"), list):
            yield from _read_values(one["options"])
        elif one.get("value"):
            yield str(one["value"]), str(one.get("name") or "")


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
