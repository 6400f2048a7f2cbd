"""Who answers at the terminal: the user's identity as git has it, and the name of the login."""

from __future__ import annotations

import getpass

from orchestr.cell.context import CellContext
from orchestr.git.runner import YES_OR_NO


def read_git_identity(ctx: CellContext) -> tuple[str, str]:
    """Name and address as git has them where the cell's repository is; empty where it has none."""
    return _read_setting(ctx, "user.name"), _read_setting(ctx, "user.email")


def _read_setting(ctx: CellContext, key: str) -> str:
    try:
        return ctx.repo.run_git("config", "--get", key, answers=YES_OR_NO).text.strip()
    except OSError:
        return ""


def login_name() -> str:
    """The user's login; empty where the system does not know it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
