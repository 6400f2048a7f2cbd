"""How phases of one's own moved a cell's result from one tree to the next: `phase-moves.json`.

What a phase made stays valid when phases after it changed the result further. That must outlive
their own result files: one may be made again on what it left itself, be forgotten, or its phase
leave the spec, and what came before it is still not to be paid for again. Without the file, those
phases run once more.
"""

from __future__ import annotations

from pathlib import Path

from orchestr.codec import Record, replace
from orchestr.state.seals import read_sealed, write_sealed

MOVES = "phase-moves.json"
MOST = 100  # moves that are kept, the newest


class Move(Record, frozen=True):
    """``phase`` found the tree ``before`` and left ``after``; ``of``: the phases between
    `implement` and it, of whose results that one is made."""

    phase: str
    before: str
    after: str
    of: tuple[str, ...] = ()


class Moves(Record, frozen=True):
    """The moves of a cell, oldest first."""

    moves: tuple[Move, ...] = ()

    def add(self, move: Move) -> Moves:
        """With one more; one that is known becomes the newest."""
        others = tuple(one for one in self.moves if one != move)
        return replace(self, moves=(*others, move)[-MOST:])

    def has_way(self, phase: str, tree: str, target: str) -> bool:
        """Whether phases after ``phase`` made ``target`` of the ``tree`` that it left."""
        steps = [move for move in self.moves if phase in move.of]
        seen, ways = {tree}, [tree]
        for here in ways:
            if here == target:
                return True
            for move in steps:
                if move.before == here and move.after not in seen:
                    seen.add(move.after)
                    ways.append(move.after)
        return False

    def write(self, folder: Path) -> None:
        write_sealed(folder, MOVES, self)

    @classmethod
    def read(cls, folder: Path) -> Moves:
        return read_sealed(folder, MOVES, cls) or cls()
