"""What `[repos.X] trust` may say: which settings of agents in a repository they obey.

Words and files for the model are parts of their own (`skills` with commands, `agents`, `rules`,
`guides` that a feature has changed), programs that run without a question are others (`hooks`,
`mcp`). `true` is all of it and the rest of the settings, too.
"""

from __future__ import annotations

from typing import Annotated, Any

from orchestr.settings.keys import Key
from orchestr.spec.field_types import BadValue, kind_of, quote_value, suggest_name

TRUST_WORDS = ("guides", "skills", "agents", "rules", "hooks", "mcp")
EVERYTHING = "everything"  # what `true` stands for


def _convert_trust(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return (EVERYTHING,) if value else ()
    if not isinstance(value, list):
        raise BadValue(f"must be true, false or a list, got {kind_of(value)}", 'like ["skills"]')
    for word in value:
        if word not in TRUST_WORDS:
            known = f"known: {', '.join(TRUST_WORDS)}"
            hint = suggest_name(word, TRUST_WORDS) if isinstance(word, str) else None
            raise BadValue(f"there is nothing to trust called {quote_value(word)}", hint or known)
    return tuple(dict.fromkeys(value))


Trust = Annotated[tuple[str, ...], Key(_convert_trust)]


def trusts(trust: tuple[str, ...], word: str) -> bool:
    """Whether a part of a repository's settings is obeyed. Pure."""
    return word in trust or EVERYTHING in trust
