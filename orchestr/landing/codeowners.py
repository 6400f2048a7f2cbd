"""`CODEOWNERS`: who owns the paths that a change touches, and whether they said yes. Pure.

Read as GitHub does: the last line that matches a path counts, one without owners takes owners away,
a line that is no pattern there (`!`, `[`) is passed over. Owners are `@login`, `@org/team` or an
address, which names no login and so is never taken for an approval.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from orchestr.spec.path_patterns import match_paths

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
        words = line.partition("#")[0].split()
        if not words or words[0].startswith("!") or "[" in words[0]:
            continue
        owners = tuple(word for word in words[1:] if "@" in word)
        found.append(OwnerLine(match_paths([words[0]]), owners))
    return found


def find_owners(lines: Sequence[OwnerLine], path: str) -> tuple[str, ...]:
    """The owners of a path; nobody owns what no line names."""
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
