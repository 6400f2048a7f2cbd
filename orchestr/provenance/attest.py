"""Make the statements of a cell from its records and git. Writing and signing is the verb's.

A statement is made only of what is whole: the head is in the repository with the recorded tree, and
every sealed file is as orchestr wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestr.errors import OrchestrError
from orchestr.git.repo import Repo
from orchestr.provenance.gather import CellOrigin
from orchestr.provenance.records import HeadFact
from orchestr.provenance.statements import head_statements, landing_statement


@dataclass(frozen=True, slots=True)
class MadeStatements:
    """The statements of one cell. ``refused``: why its head has none; ``notes``: what else is
    left out."""

    statements: tuple[Mapping[str, Any], ...] = ()
    refused: str = ""
    notes: tuple[str, ...] = ()


def make_statements(
    origin: CellOrigin, repo: Repo, name: str, *, only_whole: bool = True
) -> MadeStatements:
    """The statements of a cell's head and of its landings; ``name`` is the repository's.

    Not ``only_whole``: also of a head that is refused, to compare with an earlier one.
    """
    found: list[Mapping[str, Any]] = []
    refused, notes = "", []
    if origin.head is None:
        notes.append("it has no head yet")
    else:
        refused = explain_unfit(origin.head, repo) or ""
        found += head_statements(origin.head) if not refused or not only_whole else ()
    for landing in origin.landings:
        tree = find_tree(repo, landing.commit)
        if tree is None:
            notes.append(f"landed commit {landing.commit[:12]} is not in this clone")
        else:
            found.append(landing_statement(landing, name, tree))
    return MadeStatements(tuple(found), refused, tuple(notes))


def explain_unfit(fact: HeadFact, repo: Repo) -> str | None:
    """Why no statement can be made of a head; None when it can."""
    if fact.broken_seals:
        names = ", ".join(fact.broken_seals)
        return f"{names} in its folder: the content is none that orchestr wrote there"
    if fact.missing:
        return "; ".join(fact.missing)
    tree = find_tree(repo, fact.head)
    if tree is None:
        return f"its head {fact.head[:12]} is not in {repo.path}"
    if tree != fact.tree:
        return f"its head {fact.head[:12]} has tree {tree[:12]}, the records say {fact.tree[:12]}"
    return None


def find_tree(repo: Repo, commit: str) -> str | None:
    """The tree of a commit; None where the clone does not have it."""
    try:
        return repo.resolve_tree(f"{commit}^{{commit}}")
    except OrchestrError:
        return None
