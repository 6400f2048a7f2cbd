"""Who may change what: `owned_paths`, `shared_paths` and contracts, judged by the host.

Owns the judgement on the paths that differ between two commits, and the words that go back to the
agent. The engine commits what an agent left before it looks, so nothing uncommitted escapes.
The judgement is pure: from claims and changed paths to violations, without git.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestr.errors import OrchestrError
from orchestr.spec.checks import Contract
from orchestr.spec.path_patterns import match_paths
from orchestr.spec.records import Cell, Feature

MOST = 50  # paths that a message to an agent lists
ASK = "ORCHESTR amend"  # the agent's word for: I need a change in a contract of another cell


@dataclass(frozen=True, slots=True)
class PathClaims:
    """What one cell may change. ``contracts`` are those of its repository, its own included."""

    cell: str
    owned: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    contracts: tuple[Contract, ...] = ()

    @property
    def foreign_contracts(self) -> tuple[Contract, ...]:
        """The contracts that other cells own."""
        return tuple(c for c in self.contracts if c.owner != self.cell)


@dataclass(frozen=True, slots=True)
class ContractBreach:
    """A changed path that is a contract of another cell."""

    path: str
    contract: Contract


@dataclass(frozen=True, slots=True)
class OwnershipViolations:
    """What a cell changed and may not. ``base`` is the commit to take the paths back from."""

    outside: tuple[str, ...] = ()
    breaches: tuple[ContractBreach, ...] = ()
    base: str = ""

    @property
    def ok(self) -> bool:
        return not self.outside and not self.breaches

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that must be as it was."""
        return (*self.outside, *(breach.path for breach in self.breaches))

    @property
    def findings(self) -> tuple[str, ...]:
        """One sentence for people for each kind of violation."""
        found = []
        if self.outside:
            found.append(f"changed outside owned_paths: {format_paths(self.outside)}")
        for owner in dict.fromkeys(breach.contract.owner for breach in self.breaches):
            theirs = [b.path for b in self.breaches if b.contract.owner == owner]
            found.append(
                f"changed a contract that only cell {owner} may change: {format_paths(theirs)}"
            )
        return tuple(found)

    @property
    def message_to_agent(self) -> str:
        """What is given back to the agent."""
        lines = [
            "Your work is committed, but it is not accepted as it is: it changes paths that are "
            "not yours. Put exactly these back and keep everything else:",
            "",
            *(f"- {format_path(path)}" for path in self.paths[:MOST]),
        ]
        if len(self.paths) > MOST:
            lines.append(f"- and {len(self.paths) - MOST} more, all outside of your paths")
        listed = " ".join(shlex.quote(f":(top,literal){path}") for path in self.paths[:MOST])
        lines += [
            "",
            "This does it, new files included; commit it afterwards:",
            "",
            f"    git restore --source={self.base[:12]} --staged --worktree -- {listed}",
        ]
        if self.breaches:
            first = self.breaches[0]
            lines += [
                "",
                f"`{first.path}` is a contract of cell `{first.contract.owner}`. If your work "
                "cannot be done without a change there, put it back all the same and end with "
                f"the line `{ASK} {first.path}: <what is needed>`.",
            ]
        return "\n".join(lines).encode("utf-8", "backslashreplace").decode() + "\n"


class PathsNotOwned(OrchestrError):
    """The only thing wrong with a head is that it changes what is not its cell's."""

    def __init__(self, ownership: OwnershipViolations, head: str) -> None:
        super().__init__("; ".join(ownership.findings))
        self.ownership = ownership
        self.head = head


def claims_of(feature: Feature, cell: Cell) -> PathClaims:
    """What a cell may change, by its feature: contracts count in their owner's repository."""
    if not feature.contracts:  # most features; every digest asks
        return PathClaims(cell.name, cell.owned_paths, cell.proof.shared_paths)
    repos = {other.name: other.repo for other in feature.cells}
    mine = tuple(c for c in feature.contracts if repos.get(c.owner) == cell.repo)
    return PathClaims(cell.name, cell.owned_paths, cell.proof.shared_paths, mine)


def judge_paths(claims: PathClaims, changed: Iterable[str], base: str = "") -> OwnershipViolations:
    """The changed paths that are not the cell's.

    Patterns are gitignore's. A path is a contract of the last entry that matches it; being its
    owner is leave to change it. Without ``owned_paths`` all other paths are the cell's.
    """
    outside, breaches = [], []
    may = match_paths([*claims.owned, *claims.shared])
    contracts = [
        (contract, match_paths([contract.path])) for contract in reversed(claims.contracts)
    ]
    for path in changed:
        contract = next((c for c, matches in contracts if matches(path)), None)
        if contract is not None and contract.owner != claims.cell:
            breaches.append(ContractBreach(path, contract))
        elif contract is None and claims.owned and not may(path):
            outside.append(path)
    return OwnershipViolations(tuple(outside), tuple(breaches), base)


def find_foreign_contract(feature: Feature, cell: Cell, path: str) -> Contract | None:
    """The contract of another cell that a path belongs to: the repository's own first, then any
    other's, for a cell that may only ask."""
    near = claims_of(feature, cell).foreign_contracts
    far = tuple(c for c in feature.contracts if c.owner != cell.name and c not in near)
    for group in (near, far):
        for contract in reversed(group):
            if contract.path == path or match_paths([contract.path])(path):
                return contract
    return None


def format_paths(paths: Sequence[str], most: int = 5) -> str:
    """A few names, and how many more."""
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(map(format_path, paths[:most])) + more


def format_path(path: str) -> str:
    """A path on one line; bytes that are no UTF-8 are written out."""
    return path.replace("\n", "\\n").encode("utf-8", "backslashreplace").decode()
