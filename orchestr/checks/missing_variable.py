"""A check that is red for want of an environment variable: what to do, and whether it counts.

A variable that the user has set and the allow-list has dropped, one that says where a tool is, and
one that the check itself names in `pass_env`: without these the check was not evaluated, whatever
the code is. Another one may be the change's own doing: that stays red, and is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from orchestr.checks.base import CheckRequest, CheckVerdict, read_log
from orchestr.process.missing_variable import find_missing_variables
from orchestr.spec.checks import CheckDef


def judge_missing_variables(
    verdict: CheckVerdict, request: CheckRequest, check: CheckDef, given: Mapping[str, str]
) -> CheckVerdict:
    """The verdict of a check that is not green, with the variables that its output misses."""
    texts = [read_log(request.log), *(failure.message for failure in verdict.failures)]
    found = find_missing_variables("\n".join(texts), given, request.environ)
    if not found:
        return verdict
    named = set(check.pass_env)
    dropped = [v.name for v in found if v.dropped]
    unset = [v.name for v in found if not v.dropped]
    place = f" in {request.place}" if request.place else ""
    advice = []
    if dropped:
        advice.append(
            f"it needs {_join(dropped)}, set here and not passed on: add pass_env: "
            f"[{', '.join(dropped)}] to check {check.name}{place}"
        )
    if unset:
        allow = [name for name in unset if name not in named]
        how = f", and add pass_env: [{', '.join(allow)}] to check {check.name}{place}"
        advice.append(f"{_join(unset)} is not set: set it{how if allow else ', then run again'}")
    machine = bool(dropped) or any(v.is_tool or v.name in named for v in found)
    return replace(
        verdict,
        detail=f"{verdict.detail}; {'; '.join(advice)}",
        unavailable=verdict.unavailable or machine,
    )


def _join(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
