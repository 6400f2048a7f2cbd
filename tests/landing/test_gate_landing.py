"""Which offers of a landing are held before it starts, of forges that answer and that do not."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from orchestr.forges.base import ForgeAway, ForgeError
from orchestr.landing.events import LandingChange, Offered
from orchestr.landing.forge_gate import GateLook
from orchestr.landing.gate_landing import hold_unready
from orchestr.landing.lane import Lane
from orchestr.landing.requirements import Requirement, Unmet


class Gate:
    """Fails for a question that names one of the repositories in ``silent``."""

    def __init__(self, *silent: str) -> None:
        self.silent = silent
        self.asked: list[list[str]] = []

    def look(self, cells: Sequence[Any]) -> dict[str, GateLook]:
        self.asked.append([ctx.key for ctx in cells])
        for ctx in cells:
            if ctx.cell.repo in self.silent:
                raise ForgeAway(f"{ctx.cell.repo} is not there", hint="orchestr doctor")
        red = (Unmet(Requirement.CHECKS, "red: test"),)
        return {ctx.key: GateLook("U", red if ctx.key == "f/red" else ()) for ctx in cells}


def hold(gate: Gate, **repos: str) -> dict[str, str]:
    """Cell -> why it is held."""
    session: Any = SimpleNamespace(
        undo=False, wait=0.0, lacking=frozenset(), gate=gate, warn=lambda text: None,
        queue=SimpleNamespace(items={}),
        cell_context=lambda key: SimpleNamespace(
            key=key, cell=SimpleNamespace(repo=repos[key.partition("/")[2]])
        ),
    )  # fmt: skip
    offers = [
        Offered(LandingChange(f"f/{cell}", Lane(repo, "main"), "1" * 40, n, "f"), landed=False)
        for n, (cell, repo) in enumerate(repos.items())
    ]
    return {one.change.key[2:]: one.change.hold for one in hold_unready(session, offers)}


def test_one_question_for_all_repositories() -> None:
    gate = Gate()
    assert hold(gate, red="app", green="web") == {
        "red": "the forge is not done with U: checks: red: test",
        "green": "",
    }
    assert gate.asked == [["f/red", "f/green"]]


def test_a_repository_that_cannot_be_asked_about_holds_its_own_changes() -> None:
    held = hold(Gate("web"), green="app", far="web")
    why = "its pull request cannot be asked about: web is not there (orchestr doctor)"
    assert held == {"green": "", "far": why}


@pytest.mark.parametrize("silent", [("app", "web"), ("app",)])
def test_where_nothing_can_be_asked_the_landing_ends(silent: tuple[str, ...]) -> None:
    with pytest.raises(ForgeError, match="app is not there"):
        hold(Gate(*silent), **dict(zip(("one", "two"), silent, strict=False)))
