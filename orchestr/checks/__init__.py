"""Checks: what proves a cell. A kind is one file of `orchestr.checks.kinds`, or of another package.

Importing this loads no kind; `orchestr.spec.check_kinds` loads the ones that are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestr.spec.checks import CheckDef

if TYPE_CHECKING:
    from orchestr.checks.base import Check


def make_check(definition: CheckDef) -> Check:
    """The check that a definition describes, ready to run."""
    from orchestr.checks.definition import CheckDefinition
    from orchestr.checks.runner import CheckRunner

    if not isinstance(definition, CheckDefinition):
        raise TypeError(f"{type(definition).__name__} cannot run: derive it from CheckDefinition")
    return CheckRunner(definition)
