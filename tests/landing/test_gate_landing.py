"""Which offers of a landing are held before it starts, of forges that answer and that do not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestr.forges.base import ForgeAway, ForgeError, PRState, PullRequest, RepoRef
from orchestr.forges.followed import FollowingForge, PullRequestFacts, PullRequestKey
from orchestr.forges.protection import BranchRules
from orchestr.forges.routed import route_forges
from orchestr.landing.actions import LandCandidate
from orchestr.landing.events import CandidateSpec, LandingChange, Offered
from orchestr.landing.forge_gate import ForgeGate, GateLook
from orchestr.landing.gate_landing import hold_unready
from orchestr.landing.lane import Lane
from orchestr.landing.report import suggest_at_forge
from orchestr.landing.requirements import Requirement, Unmet
from orchestr.state.results import PublishRecord
from orchestr.views.terminal.landing import action_line

PULL = PullRequest(1, "https://h/o/app/pull/1", "t", "", "b", "main", "1" * 40, True, PRState.OPEN,
                   "", "")  # fmt: skip


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


def test_a_forge_that_shows_less_does_not_hide_what_another_wants(tmp_path: Path) -> None:
    """GitHub beside a forge of a package that cannot be followed."""

    class Hub:
        kind = "hub"

        def read_facts(self, keys: Sequence[PullRequestKey]) -> Any:
            return {key: PullRequestFacts(PULL, "n") for key in keys}

        def read_branch_rules(self, repo: RepoRef, branch: str) -> BranchRules:
            return BranchRules(checks=("test",))

        def __getattr__(self, name: str) -> Any:
            return lambda *_: {}

    box: Any = SimpleNamespace(kind="box")
    forge = route_forges(box, {"app": Hub()})  # type: ignore[dict-item]
    assert not isinstance(forge, FollowingForge)
    cells: list[Any] = []
    for repo in ("app", "lib"):
        folder = tmp_path / repo
        folder.mkdir()
        PublishRecord("k", "1" * 40, f"https://h/o/{repo}/pull/1").write(folder)
        settings = SimpleNamespace(landing=SimpleNamespace(land_requires=()))
        run = SimpleNamespace(forge=forge, seen={}, settings=settings)
        cell = SimpleNamespace(repo=repo, base="main", branch="b")
        cells.append(SimpleNamespace(
            key=f"f/{repo}", dir=folder, cell=cell, run=run, repo_ref=RepoRef(repo, folder),
            repo_settings=SimpleNamespace(land_requires=None),
        ))  # fmt: skip
    looks = ForgeGate().look(cells)
    assert [one.text for one in looks["f/app"].unmet] == ["not reported yet: test"]
    assert "f/lib" not in looks


@pytest.mark.parametrize(
    ("reason", "wait"),
    [
        ("checks: not reported yet: test", True),
        ("checks: still at work: test", True),
        ("checks: not reported yet: test; approval: 0 of 1 approving review", False),
        ("checks: red: unit; checks: still at work: test", False),
        ("checks: main is locked: nothing may be merged there; checks: still at work: x", False),
    ],
)
def test_waiting_is_named_only_where_it_alone_helps(reason: str, wait: bool) -> None:
    assert any("--wait" in line for line in suggest_at_forge("f", reason, "URL")) is wait


def test_what_is_waited_for_is_said() -> None:
    spec = CandidateSpec(lane=Lane("app", "main"), base="0" * 40, parts=(("f/low", "1" * 40),))
    before, after = (action_line(LandCandidate(spec, "2" * 40, done)) for done in (False, True))
    assert before is not None and "for checks at the forge, before app:main is moved" in before
    assert after is not None and "for the forge to move app:main to 222222222222" in after
