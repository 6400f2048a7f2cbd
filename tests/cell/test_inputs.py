"""The table of inputs: the digests of the version before, and every input changed in turn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestr.cell.input_changes import input_changes, save_inputs
from orchestr.cell.input_nodes import walk_inputs
from orchestr.cell.inputs import PHASE_INPUTS, phase_digest
from orchestr.settings.records import AgentSettings
from orchestr.spec.agent_options import AgentOptions, Role, RoleOptions
from orchestr.spec.checks import Contract, Reviewer, ReviewRule
from orchestr.spec.phases import Action, Phase
from orchestr.spec.product import Product, Structure
from orchestr.spec.pull_request import PullRequestOptions
from tests.cell.contexts import BARE, Spec, command

W, PL, I, C, R, P = Phase  # noqa: E741  in the order in which they run

DIGESTS = {
    "full": (
        Spec(),
        "e9c2c5c2333ec9b5d414 35666b9fb7e35e7e82ff 1176a406b7a21f375db6 427f9160bf23a4c6a542"
        " 12cfeb306e456a92573d dc89bbfe973ee88dd662",
    ),
    "bare": (
        BARE,
        "2dfd0b42080791c08668 dd7ef0c60924ba717cae 2fad4a799f0cfafd7a71 bd496ebfa7a2ccfe744c"
        " f4f12d1ccd185f8794e1 6fe1b98c65aca50a1baf",
    ),
    "checks and reviewers": (
        BARE.with_proof(checks=(command("a"),), reviewers=(Reviewer("x", "y"),)),
        "2dfd0b42080791c08668 dd7ef0c60924ba717cae 2fad4a799f0cfafd7a71 e6fddba3703c40d34f5c"
        " 7a5192bf223fe7e1e2db 6fe1b98c65aca50a1baf",
    ),
    "detect": (
        BARE.with_repo(detect=True),
        "2dfd0b42080791c08668 dd7ef0c60924ba717cae 2fad4a799f0cfafd7a71 4d70d6f10fbb783a8db6"
        " f4f12d1ccd185f8794e1 6fe1b98c65aca50a1baf",
    ),
    "contracts": (
        BARE.with_feature(contracts=(Contract("a", "api"),)),
        "2dfd0b42080791c08668 dd7ef0c60924ba717cae fe1bbbbc852ab3673183 bd496ebfa7a2ccfe744c"
        " f4f12d1ccd185f8794e1 6fe1b98c65aca50a1baf",
    ),
    "shared paths": (
        BARE.with_proof(shared_paths=("a",)),
        "2dfd0b42080791c08668 dd7ef0c60924ba717cae d95110dc2be7bdd969e8 bd496ebfa7a2ccfe744c"
        " f4f12d1ccd185f8794e1 6fe1b98c65aca50a1baf",
    ),
}  # from version 0.1.0, which wrote them into the state files


@pytest.mark.parametrize("name", DIGESTS)
def test_digests_are_those_of_the_version_before(name: str, tmp_path: Path) -> None:
    spec, digests = DIGESTS[name]
    ctx = spec.context(tmp_path)
    assert [phase_digest(ctx, phase) for phase in Phase] == digests.split()


PHASES = Spec().cell.phases


def without(phase: Phase) -> Callable[[Spec], Spec]:
    return lambda s: s.with_cell(phases=tuple(p for p in PHASES if p is not phase))


def say(role: str, **options: Any) -> tuple[RoleOptions, ...]:
    return (RoleOptions(Role(role), AgentOptions(**options)),)


# declared field -> the change, the field that is named, the phases that run again
CHANGES: dict[tuple[Phase, str], tuple[Callable[[Spec], Spec], str, set[Phase]]] = {
    (W, "path"): (lambda s: s.with_repo(path=Path("/w/b")), "path", {W}),
    (W, "branch"): (lambda s: s.with_cell(branch="F-1-b"), "branch", {W}),
    (W, "base"): (lambda s: s.with_cell(base="next"), "base", {W}),
    (W, "track_base"): (lambda s: s.with_cell(track_base=True), "track_base", {W}),
    (W, "setup"): (lambda s: s.with_repo(setup=("make all",)), "setup[0]", {W}),
    (W, "link"): (lambda s: s.with_repo(link=(".env", "a")), "link[1]", {W}),
    (W, "copy"): (lambda s: s.with_repo(copy=()), "copy[0]", {W}),
    (I, "todo"): (lambda s: s.with_cell(todo=("add it", "x")), "todo[1]", {PL, I, P}),
    (I, "action"): (lambda s: s.with_cell(action=Action.PUSH), "action", {I}),
    (I, "agent"): (
        lambda s: s.with_cell(agent="other").with_agent(AgentSettings("other", "command")),
        "agent",
        {I},
    ),
    (I, "model"): (lambda s: s.with_cell(model="tiny"), "model", {I}),
    (I, "owned_paths"): (lambda s: s.with_cell(owned_paths=("lib/",)), "owned_paths[0]", {I}),
    (I, "shared_paths"): (lambda s: s.with_proof(shared_paths=()), "shared_paths[0]", {I}),
    (I, "contracts"): (
        lambda s: s.with_feature(contracts=(Contract("v2/**", "api"),)),
        "contracts[0].path",
        {I},
    ),
    (I, "phases"): (without(I), "phases[0]", {I}),
    (C, "phases"): (without(C), "phases[0]", {C}),
    (R, "phases"): (without(R), "phases[0]", {R}),
    (P, "phases"): (without(P), "phases[0]", {P}),
    (C, "repos.{repo}.checks"): (
        lambda s: s.with_repo(checks=()), "repos.app.checks[0]", {C},
    ),
    (C, "repos.{repo}.checks_in"): (
        lambda s: s.with_repo(checks_in="worktree"), "repos.app.checks_in", {C},
    ),
    (C, "repos.{repo}.detect"): (lambda s: s.with_repo(detect=True), "repos.app.detect", {C}),
    (C, "checks"): (
        lambda s: s.with_proof(checks=(command("make", "all"),)), "checks[0].run", {C},
    ),
    (C, "checks: none"): (lambda s: s.with_proof(no_checks=True), "checks: none", {C}),
    (C, "test_first"): (lambda s: s.with_proof(test_first=True), "test_first", {C}),
    (C, "allow_skipped_tests"): (
        lambda s: s.with_proof(allow_skipped_tests=True), "allow_skipped_tests", {C},
    ),
    (C, "allow_partial"): (lambda s: s.with_proof(allow_partial=True), "allow_partial", {C, R}),
    (R, "reviewers"): (
        lambda s: s.with_proof(reviewers=(Reviewer("clever", "kind", "large"),)),
        "reviewers[0].name",
        {R},
    ),
    (R, "review_rule"): (
        lambda s: s.with_proof(review_rule=ReviewRule.MAJORITY), "review_rule", {R},
    ),
    (R, "screenshots"): (
        lambda s: s.with_proof(screenshots=(command("make", "image"),)), "screenshots[0].run", {R},
    ),
    (R, "options.review"): (
        lambda s: s.with_cell(options=say("review", effort="high")), "options.review", {R},
    ),
    **{
        (phase, f"options.{role}.{name}"): (
            (lambda s, role=role, name=name, value=value: s.with_cell(
                options=say(role, **{name: value}))),
            named,
            {phase},
        )
        for phase, role in ((I, "implement"), (PL, "plan"))
        for name, value, named in (
            ("effort", "high", f"options.{role}.effort"),
            ("mcp", ("docs",), f"options.{role}.mcp"),
            ("args", ("-v",), f"options.{role}.args"),
            ("model", "huge", f"options.{role}.model"),
        )
        if (role, name) != ("implement", "model")
    },
    (P, "title"): (lambda s: s.with_cell(title="Add more"), "title", {P}),
    (P, "feature_title"): (lambda s: s.with_feature(title="Another"), "feature_title", {P}),
    (P, "jira"): (lambda s: s.with_feature(jira="F-2"), "jira", {P}),
    (P, "metadata.type"): (lambda s: s.with_feature(type="fix"), "metadata.type", {P}),
    (P, "siblings_in_ci"): (
        lambda s: s.with_feature(siblings_in_ci=True), "siblings_in_ci", {P},
    ),
    (P, "pull_request"): (
        lambda s: s.with_cell(pull_request=PullRequestOptions(labels=("sdk",), ready=True)),
        "pull_request",
        {P},
    ),
    (P, "scenarios"): (lambda s: s.with_feature(scenarios=()), "scenarios[0]", {P}),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_a_changed_input_is_named_and_only_its_phases_run_again(
    case: tuple[Phase, str], tmp_path: Path
) -> None:
    change, named, phases = CHANGES[case]
    before = Spec().context(tmp_path)
    for phase in Phase:
        save_inputs(before, phase)
    digests = {phase: phase_digest(before, phase) for phase in Phase}
    after = change(Spec()).context(tmp_path)
    assert {p for p in Phase if phase_digest(after, p) != digests[p]} == phases
    found = {p: [c.field for c in input_changes(after, p)] for p in Phase}
    assert found == {p: [named] if p in phases else [] for p in Phase}


def test_another_repository_is_named(tmp_path: Path) -> None:
    """The values of another repository come with it, so it does not stand in the table above."""
    save_inputs(Spec().context(tmp_path), W)
    after = Spec().with_cell(repo="lib").context(tmp_path)
    assert "repo" in [c.field for c in input_changes(after, W)]


def test_what_the_feature_is_for_makes_no_phase_run_again(tmp_path: Path) -> None:
    before = Spec().context(tmp_path)
    more = {
        "intent": "why",
        "product": Product.CLI,
        "structure": Structure(entrypoint="x"),
        "done_means": ("done",),
        "non_goals": ("not",),
    }
    after = Spec().with_feature(**more).context(tmp_path)
    assert [phase_digest(after, p) for p in Phase] == [phase_digest(before, p) for p in Phase]


def test_every_declared_input_is_changed_by_a_test() -> None:
    every = [walk_inputs(PHASE_INPUTS[phase], ()) for phase in Phase]
    fields = {one.field for inputs in every for one, _ in inputs}
    assert fields == {field for _, field in CHANGES} | {"repo"}


def test_what_does_not_count_is_not_named(tmp_path: Path) -> None:
    """Without checks `allow_partial` is no input; reviewers that went away are one."""
    spec = BARE.with_proof(reviewers=(Reviewer("x", "y"),))
    ctx = spec.context(tmp_path)
    for phase in Phase:
        save_inputs(ctx, phase)
    after = spec.with_proof(allow_partial=True, reviewers=()).context(tmp_path)
    assert input_changes(after, C) == ()
    assert [c.field for c in input_changes(after, R)] == ["reviewers[0]", "allow_partial"]


def test_an_input_that_the_file_does_not_have_is_not_named(tmp_path: Path) -> None:
    """`inputs.json` of a version that did not have this input yet."""
    ctx = Spec().context(tmp_path)
    save_inputs(ctx, I)
    file = ctx.dir / "inputs.json"
    file.write_text(file.read_text().replace('"contracts"', '"treaties"'))
    after = Spec().with_feature(contracts=()).with_cell(model="tiny").context(tmp_path)
    assert [c.field for c in input_changes(after, I)] == ["model"]
