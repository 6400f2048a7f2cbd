"""`CODEOWNERS`: who owns the paths that a change touches, and whether they said yes. Pure.

Read as GitHub does: the last line that matches a path counts, one without owners takes owners away,
`docs/*` is for the files right in it, a line that is no pattern there (`!`, `[`) is passed over as
one is that cannot be read. Owners are `@login`, `@org/team` or an
address, which names no login and so is never taken for an approval.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from orchestr.spec.path_patterns import match_paths

_WORD = re.compile(r"(?:\\.|[^\s\\])+")  # `my\ folder/` is one
PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")  # the first one counts


@dataclass(frozen=True, slots=True)
class OwnerLine:
    """One line: which paths, and who owns them."""

    matches: Callable[[str], bool]
    owners: tuple[str, ...]


def parse_codeowners(text: str) -> list[OwnerLine]:
    """The lines of a file, in its order."""
    found = []
    for line in text.splitlines():
        words = _WORD.findall(line.partition("#")[0])
        if not words or words[0].startswith("!") or "[" in words[0]:
            continue
        owners = tuple(word for word in words[1:] if "@" in word)
        with suppress(ValueError):  # no pattern
            found.append(OwnerLine(_match_owned(words[0]), owners))
    return found


def _match_owned(pattern: str) -> Callable[[str], bool]:
    matches = match_paths([pattern])
    if not pattern.endswith("/*"):
        return matches
    is_below = match_paths([f"{pattern}/**"])  # where gitignore would go into folders
    return lambda path: matches(path) and not is_below(path)


def list_owning_teams(lines: Sequence[OwnerLine], paths: Collection[str]) -> set[str]:
    """The teams among the owners of these paths."""
    owners = {owner for path in paths for owner in find_owners(lines, path)}
    return {owner for owner in owners if owner.startswith("@") and "/" in owner}


def find_owners(lines: Sequence[OwnerLine], path: str) -> tuple[str, ...]:
    """The owners of a path; what no line names has no owner."""
    return next((line.owners for line in reversed(lines) if line.matches(path)), ())


def list_unapproved_paths(
    lines: Sequence[OwnerLine],
    paths: Collection[str],
    approvers: Collection[str],
    teams: Mapping[str, Collection[str]],
) -> dict[tuple[str, ...], str]:
    """Owners -> the first of their paths that none of them approved.

    ``approvers`` are logins whose last word was yes, ``teams`` the teams that each may speak for.
    """
    yes = {f"@{login}".lower() for login in approvers}
    yes |= {f"@{team}".lower() for login in approvers for team in teams.get(login, ())}
    found: dict[tuple[str, ...], str] = {}
    for path in sorted(paths):
        owners = find_owners(lines, path)
        if owners and not yes & {owner.lower() for owner in owners}:
            found.setdefault(owners, path)
    return found
