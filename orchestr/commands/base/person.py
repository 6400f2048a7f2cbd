"""Who answers at the terminal: the user's identity as git has it, and the name of the login."""

from __future__ import annotations

import getpass

from orchestr.cell.context import CellContext
from orchestr.git.identity import read_identity


def read_git_identity(ctx: CellContext) -> tuple[str, str]:
    """Name and address as git has them where the cell's repository is; empty where it has none."""
    return read_identity(ctx.repo)


def login_name() -> str:
    """The user's login; empty where the system does not know it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
