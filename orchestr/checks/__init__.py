"""Checks: what proves a cell. A new kind is one file, one line here and its records in the spec.

Importing this loads no kind; `make_check` loads the one that is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from orchestr.spec.checks import CheckDef, CheckKind

if TYPE_CHECKING:
    from orchestr.checks.base import Check, MakeCheck

# kind -> module and class
CHECKS: dict[CheckKind, tuple[str, str]] = {
    CheckKind.COMMAND: ("command", "CommandRunner"),
    CheckKind.PYTEST: ("pytest", "PytestRunner"),
    CheckKind.JUNIT: ("junit", "JunitRunner"),
    CheckKind.TESTS: ("json_tests", "TestsRunner"),
    CheckKind.API_PROBE: ("api_probe", "ApiProbeRunner"),
    CheckKind.BROWSER_JOURNEY: ("browser_journey", "BrowserJourneyRunner"),
    CheckKind.STATE_INVARIANT: ("state_invariant", "StateInvariantRunner"),
    CheckKind.IMPORT_CHECK: ("import_check", "ImportRunner"),
    CheckKind.TYPE_CHECK: ("type_check", "TypeCheckRunner"),
}


def make_check(definition: CheckDef) -> Check:
    """The check that a definition describes, ready to run."""
    module, name = CHECKS[definition.kind]
    make = cast("MakeCheck", getattr(import_module(f"orchestr.checks.{module}"), name))
    return make(definition)
