"""What a contract promises becomes checks of the cell that owns it.

So `exports` and `probes` are run, shown, locked and repaired as every check is, on each head of the
owner: also after an amendment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from orchestr.spec.check_kinds import find_kind
from orchestr.spec.checks import CheckDef, Contract
from orchestr.spec.phases import Phase
from orchestr.spec.records import Cell

EXPORTS, PROBE = "contract exports", "contract probe"


def add_contract_checks(cells: Iterable[Cell], contracts: Sequence[Contract]) -> Iterator[Cell]:
    """The cells, each with the checks of its contracts behind its own."""
    for cell in cells:
        mine = [contract for contract in contracts if contract.owner == cell.name]
        taken = {check.name for check in cell.proof.checks}
        more = [check for contract in mine for check in _make_checks(contract, taken)]
        if more:
            proof = replace(cell.proof, checks=(*cell.proof.checks, *more))
            cell = replace(cell, proof=proof)
        yield cell


def find_unlooked_contracts(cells: Iterable[Cell], contracts: Sequence[Contract]) -> Iterator[int]:
    """The numbers of contracts that promise something although their owner has no checks phase."""
    without = {cell.name for cell in cells if Phase.CHECK not in cell.phases}
    for index, contract in enumerate(contracts):
        if contract.owner in without and (contract.exports or contract.probes):
            yield index


def _make_checks(contract: Contract, taken: set[str]) -> Iterator[CheckDef]:
    if contract.exports:
        kind: Any = find_kind("exports")
        name = _free_name(EXPORTS, taken)
        yield kind(name=name, timeout=kind.usual_timeout, paths=(contract.path,),
                   names=contract.exports)  # fmt: skip
    for argv in contract.probes:
        kind = find_kind("command")
        yield kind(name=_free_name(PROBE, taken), timeout=kind.usual_timeout, run=argv)


def _free_name(word: str, taken: set[str]) -> str:
    name, number = word, 1
    while name in taken:
        number += 1
        name = f"{word} {number}"
    taken.add(name)
    return name
