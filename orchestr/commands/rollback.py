"""`rollback FEATURE...`: revert exactly what landed, newest first, through the same queue."""

from __future__ import annotations

from typing import Any

from orchestr.commands.base.options import YES
from orchestr.commands.land import DRY_RUN, Land


class Rollback(Land):
    """Reverts are checked and pushed as landings are; branches and pull requests stay."""

    doc_purpose = "revert exactly what landed of a feature, newest first"
    help_group = "land"
    examples = (("rollback mlkem", "undo what was landed, by reverts that are checked, too"),)
    cmd_options: tuple[dict[str, Any], ...] = (DRY_RUN, YES)
    undo = True
