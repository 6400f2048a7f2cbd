"""Another base that a person chose for a pull request: at the hand-off (`handoff --base`), or at
the forge.

Kept beside the cell's results, so that a later run does not put the base of the spec back. It
counts only in place of the base that the person saw: when the spec or a landing gives the pull
request another one, that is newer.
"""

from __future__ import annotations

from pathlib import Path

from orchestr.codec import Record, read_toml_record, write_toml_record

FILE = "chosen-base.toml"


class ChosenBase(Record, frozen=True):
    """``base`` is the branch chosen, ``instead_of`` the one that the cell's records name.
    ``is_seen``: the forge had it, so that another one there is a newer choice."""

    base: str
    instead_of: str
    is_seen: bool = False

    def write(self, folder: Path) -> None:
        write_toml_record(folder / FILE, self)


def apply_chosen_base(cell_dir: Path, base: str) -> str:
    """The branch that a pull request is for, where the cell's records say ``base``."""
    chosen = read_toml_record(cell_dir / FILE, ChosenBase)
    return chosen.base if chosen is not None and chosen.instead_of == base else base


def is_choice_withdrawn(cell_dir: Path, there: str) -> bool:
    """Whether a person put the pull request back onto the base that was chosen away from."""
    chosen = read_toml_record(cell_dir / FILE, ChosenBase)
    return chosen is not None and chosen.is_seen and there == chosen.instead_of != chosen.base
