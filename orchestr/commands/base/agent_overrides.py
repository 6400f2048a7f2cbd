"""`--effort` and `--option PHASE.FIELD=VALUE`: how agents work in one run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from orchestr.errors import UsageError
from orchestr.spec.agent_options import FIELDS, NO_OPTIONS, Role, RoleOptions, parse_options
from orchestr.spec.field_types import BadValue, suggest_name

ROLES = tuple(role for role in Role if role is not Role.DRAFT)
EXAMPLE = "e.g. --option review.effort=high"


def read_effort(value: str | None) -> str | None:
    """The word of `--effort`. Raises UsageError."""
    if value is None:
        return None
    try:
        return str(FIELDS["effort"].convert(value))
    except BadValue as error:
        raise UsageError(f"--effort: {error.message}", hint=error.hint) from None


def read_role_options(words: Sequence[str]) -> tuple[RoleOptions, ...]:
    """What `--option` says, in its order; `mcp` is a list with commas, `args` are words as a shell
    splits them. Raises UsageError."""
    found = []
    for word in words:
        path, mark, text = word.partition("=")
        role, dot, name = path.strip().partition(".")
        if not mark or not dot:
            raise UsageError(f"--option wants PHASE.FIELD=VALUE, got {word!r}", hint=EXAMPLE)
        if role not in ROLES:
            hint = suggest_name(role, [one.value for one in ROLES])
            raise UsageError(f"--option: there is no phase {role!r}", hint=hint or EXAMPLE)
        try:
            options = parse_options({name: _parse_value(name, text)})
        except (BadValue, ValueError) as error:
            hint = error.hint if isinstance(error, BadValue) else None
            raise UsageError(f"--option {word}: {error}", hint=hint or EXAMPLE) from None
        if options != NO_OPTIONS:
            found.append(RoleOptions(Role(role), options))
    return tuple(found)


def _parse_value(name: str, text: str) -> Any:
    match name:
        case "mcp":
            return [part.strip() for part in text.split(",") if part.strip()]
        case "args":
            return shlex.split(text)
        case "max_turns":
            return int(text) if text.isdecimal() else text
        case _:
            return text
