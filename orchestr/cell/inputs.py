"""The inputs of every phase, declared once: for the digest, and for the changes `explain` names.

`PHASE_INPUTS` is the one list of the spec and settings values that make a phase run again. Never
the command line, the environment or the clock. The digest is taken over the declared tree, so its
shape is part of the state files: a new input goes into a `WhenSet`, which adds nothing to the
digests of cells that do not use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from dataclasses import fields as fields_of
from typing import Any

from orchestr.cell.agent_options import declared_options, declared_reviewer_options
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.granted import extend_key, read_grants
from orchestr.cell.input_nodes import (
    GIT,
    SETTINGS,
    SPEC,
    UPSTREAM,
    Joined,
    Node,
    PhaseInput,
    Reader,
    WhenSet,
    digest_rows,
    walk_inputs,
)
from orchestr.cell.option_inputs import (
    IMPLEMENT_OPTIONS,
    PLAN_OPTIONS,
    REVIEW_OPTIONS,
    origin_of_model,
)
from orchestr.cell.own_inputs import make_own_inputs
from orchestr.cell.own_results import digest_reads, find_phase, outputs_before
from orchestr.cell.ownership import claims_of
from orchestr.cell.pull_request.options import options_table
from orchestr.errors import MachineFault, OrchestrError
from orchestr.spec.agent_options import Role
from orchestr.spec.checks import CheckDef, Reviewer, check_to_row
from orchestr.spec.own_phases import OwnPhase
from orchestr.spec.phases import Action, Phase
from orchestr.state.results import PlanRecord, WorktreeMarker, digest, read_tree

TEMPLATE = 1  # version of the PR text; a new one updates every body


def _of_repo(name: str) -> Reader:
    return lambda ctx: getattr(ctx.repo_settings, name)


def _of_cell(name: str) -> Reader:
    return lambda ctx: getattr(ctx.cell, name)


def _of_proof(name: str) -> Reader:
    return lambda ctx: getattr(ctx.cell.proof, name)


def _of_feature(name: str) -> Reader:
    return lambda ctx: getattr(ctx.run.feature, name)


def _check_rows(read: Reader) -> Reader:
    return lambda ctx: [check_to_row(check) for check in read(ctx)]


def _contracts(ctx: CellContext) -> list[dict[str, str]]:
    claims = claims_of(ctx.run.feature, ctx.cell)
    return [{"path": contract.path, "owner": contract.owner} for contract in claims.contracts]


def reviewer_model(ctx: CellContext, reviewer: Reviewer) -> str:
    """The model that a reviewer reads with: the spec's, else the settings'; empty for the agent's
    own choice. Not in the digest, which is older: the opinions name it."""
    return declared_reviewer_options(ctx.run, reviewer, ctx).model or ""


def reviewer_model_of(run: FeatureRun, reviewer: Reviewer) -> str:
    """The same for a reviewer of no cell."""
    return declared_reviewer_options(run, reviewer).model or ""


def _reviewers(ctx: CellContext) -> list[dict[str, Any]]:
    return [{"agent": r.agent, "name": r.name, "model": r.model} for r in ctx.cell.proof.reviewers]


def _check_tables(read: Reader) -> Reader:
    """Checks as a spec has them: a field with its default is left out."""

    def tables(ctx: CellContext) -> list[dict[str, Any]]:
        checks: Sequence[CheckDef] = read(ctx)
        found = []
        for check in checks:
            usual = {f.name: f.default for f in fields_of(check)}
            table = {k: v for k, v in asdict(check).items() if v != usual[k]}
            found.append({"kind": str(check.kind), **table})
        return found

    return tables


def _checks_input(field: str, origin: str, read: Reader) -> PhaseInput:
    return PhaseInput(field, origin, _check_tables(read), _check_rows(read))


def _spec_or_settings(name: str) -> Reader:
    return lambda ctx: SPEC if getattr(ctx.cell, name) else SETTINGS


def _listed(phase: Phase) -> PhaseInput:
    """Whether the spec lists the phase."""
    return PhaseInput(
        "phases",
        SPEC,
        lambda ctx: [str(p) for p in ctx.cell.phases if p is phase],
        lambda ctx: phase in ctx.cell.phases,
    )


TODO = PhaseInput("todo", SPEC, _of_cell("todo"))
ALLOW_PARTIAL = PhaseInput("allow_partial", SPEC, _of_proof("allow_partial"))
SHARED_PATHS = PhaseInput("shared_paths", SPEC, _of_proof("shared_paths"))
CONTRACTS = PhaseInput(
    "contracts", SPEC, _contracts, lambda ctx: [[c["path"], c["owner"]] for c in _contracts(ctx)]
)
CHECKS = _checks_input("checks", SPEC, _of_proof("checks"))
REPO_CHECKS = _checks_input("repos.{repo}.checks", SETTINGS, _of_repo("checks"))
NO_CHECKS = PhaseInput("checks: none", SPEC, _of_proof("no_checks"))
DETECT = PhaseInput("repos.{repo}.detect", SETTINGS, _of_repo("detect"))
TEST_FIRST = PhaseInput("test_first", SPEC, _of_proof("test_first"))
CHECKS_IN = PhaseInput(
    "repos.{repo}.checks_in", SETTINGS, lambda ctx: "worktree" if ctx.checks_in_worktree else ""
)
REVIEWERS = PhaseInput(
    "reviewers", SPEC, _reviewers, lambda ctx: [list(r.values()) for r in _reviewers(ctx)]
)
TYPE = PhaseInput("metadata.type", SPEC, _of_feature("type"))
SIBLINGS_IN_CI = PhaseInput("siblings_in_ci", SPEC, _of_feature("siblings_in_ci"))
PULL_REQUEST = PhaseInput("pull_request", _spec_or_settings("pull_request"), options_table)
SCREENSHOTS = _checks_input("screenshots", SPEC, _of_proof("screenshots"))

PHASE_INPUTS: Mapping[Phase, tuple[Node, ...]] = {
    Phase.WORKTREE: (
        "worktree",
        PhaseInput("repo", SPEC, _of_cell("repo")),
        PhaseInput(
            "path",
            SETTINGS,
            lambda ctx: str(ctx.repo_settings.path) if ctx.repo_settings.path else None,
            lambda ctx: str(ctx.repo_settings.path),
        ),
        PhaseInput("branch", SPEC, _of_cell("branch")),
        (
            PhaseInput(
                "base",
                _spec_or_settings("base"),
                lambda ctx: ctx.cell.base or ctx.repo_settings.base,
            ),
            PhaseInput("track_base", SPEC, _of_cell("track_base")),
        ),
        (
            PhaseInput("setup", SETTINGS, _of_repo("setup")),
            PhaseInput("link", SETTINGS, _of_repo("link")),
            PhaseInput("copy", SETTINGS, _of_repo("copy")),
        ),
    ),
    Phase.PLAN: ("plan", TODO, *PLAN_OPTIONS),
    Phase.IMPLEMENT: (
        "implement",
        PhaseInput("action", SPEC, lambda ctx: str(ctx.cell.action)),
        TODO,
        PhaseInput("agent", _spec_or_settings("agent"), lambda ctx: ctx.agent_name),
        PhaseInput(
            "model", origin_of_model, lambda ctx: declared_options(ctx, Role.IMPLEMENT).model
        ),
        PhaseInput("owned_paths", SPEC, _of_cell("owned_paths")),
        _listed(Phase.IMPLEMENT),
        WhenSet((SHARED_PATHS, CONTRACTS), (SHARED_PATHS, CONTRACTS)),
        *IMPLEMENT_OPTIONS,
    ),
    Phase.CHECK: (
        "check",
        _listed(Phase.CHECK),
        WhenSet(
            (REPO_CHECKS, CHECKS, DETECT),
            (
                Joined((REPO_CHECKS, CHECKS)),
                DETECT,
                PhaseInput("allow_skipped_tests", SPEC, _of_proof("allow_skipped_tests")),
                ALLOW_PARTIAL,
                WhenSet((NO_CHECKS,), (NO_CHECKS,)),
                WhenSet((TEST_FIRST,), (TEST_FIRST,)),
                WhenSet((CHECKS_IN,), (CHECKS_IN,)),
            ),
        ),
    ),
    Phase.REVIEW: (
        "review",
        _listed(Phase.REVIEW),
        WhenSet(
            (REVIEWERS,),
            (
                REVIEWERS,
                PhaseInput("review_rule", SPEC, lambda ctx: str(ctx.cell.proof.review_rule)),
                ALLOW_PARTIAL,
                WhenSet((SCREENSHOTS,), (SCREENSHOTS,)),
                WhenSet((REVIEW_OPTIONS,), (REVIEW_OPTIONS,)),
            ),
        ),
    ),
    Phase.PUBLISH: (
        "publish",
        TEMPLATE,
        _listed(Phase.PUBLISH),
        (
            PhaseInput("title", SPEC, _of_cell("title")),
            PhaseInput("feature_title", SPEC, _of_feature("title")),
            PhaseInput("jira", SPEC, _of_feature("jira")),
            PhaseInput("scenarios", SPEC, _of_feature("scenarios")),
            TODO,
        ),
        WhenSet((TYPE,), (TYPE,)),
        WhenSet((SIBLINGS_IN_CI,), (SIBLINGS_IN_CI,)),
        WhenSet((PULL_REQUEST,), (PULL_REQUEST,)),
    ),
}


def inputs_of(ctx: CellContext, phase: str) -> tuple[Node, ...]:
    """The inputs of a phase: of `PHASE_INPUTS`, or of a phase of one's own."""
    return PHASE_INPUTS[Phase(phase)] if phase in PHASE_INPUTS else make_own_inputs(ctx, phase)


def own_key(ctx: CellContext, phase: OwnPhase) -> str:
    """What a result of a phase of one's own is for, beside what it works on."""
    return digest(phase_digest(ctx, phase.name), digest_reads(ctx, phase))


def phase_digest(ctx: CellContext, phase: str) -> str:
    """The digest of the spec and settings values that make this phase run again."""
    if phase not in ctx.phase_digests:  # spec and settings of a run do not change
        ctx.phase_digests[phase] = digest(*digest_rows(ctx, inputs_of(ctx, phase)))
    return ctx.phase_digests[phase]


def digest_without(ctx: CellContext, phase: Phase, later: PhaseInput) -> str:
    """The digest of a version without ``later``, which is in a `WhenSet` of its own."""

    def leave_out(nodes: Sequence[Node]) -> tuple[Node, ...]:
        kept: list[Node] = []
        for node in nodes:
            match node:
                case WhenSet(any_of, inside) if any_of != (later,):
                    kept.append(WhenSet(any_of, leave_out(inside)))
                case WhenSet():
                    pass
                case _:
                    kept.append(node)
        return tuple(kept)

    return digest(*digest_rows(ctx, leave_out(PHASE_INPUTS[phase])))


def declared_inputs(ctx: CellContext, phase: str) -> list[tuple[PhaseInput, tuple[WhenSet, ...]]]:
    """Every input of a phase, each with the conditions that it counts under."""
    return list(walk_inputs(inputs_of(ctx, phase), ()))


def input_values(ctx: CellContext, phase: str) -> dict[str, tuple[str, Any]]:
    """Field -> (origin, value) of everything that makes a phase run again, also of what comes to
    it through the file of the phase before.
    """
    found = {
        one.field_name(ctx): (one.origin_name(ctx), one.value(ctx))
        for one, _ in declared_inputs(ctx, phase)
    }
    return found | _values_from_files(ctx, phase)


def counting_fields(ctx: CellContext, phase: str, values: Mapping[str, Any]) -> set[str]:
    """The declared fields that are part of the digest when the inputs have these values."""
    return {
        one.field_name(ctx)
        for one, under in declared_inputs(ctx, phase)
        if all(any(values.get(a.field_name(ctx)) for a in when.any_of) for when in under)
    }


def _values_from_files(ctx: CellContext, phase: str) -> dict[str, tuple[str, Any]]:
    match phase:
        case Phase.WORKTREE:
            trees = {up.cell.name: read_tree(up.dir) for up in ctx.upstreams()}
            return {f"upstream {name}": (UPSTREAM, tree) for name, tree in trees.items()}
        case Phase.PLAN | Phase.IMPLEMENT:
            marker = WorktreeMarker.read(ctx.dir)
            if marker is None:
                return {}
            upstreams = {f"upstream {n}": (UPSTREAM, t) for n, t in marker.upstreams.items()}
            found = outputs_before(ctx, Phase(phase))
            outputs = {f"result of {n}": (GIT, value) for n, value in found.items()}
            return {"base_commit": (GIT, marker.base), **upstreams, **outputs}
        case Phase.PUBLISH:
            head = ctx.read_head()
            return {"head": (GIT, head.head if head else None)}
        case _ if phase not in PHASE_INPUTS:
            found = digest_reads(ctx, find_phase(ctx, phase))
            return {f"result of {name}": (GIT, value) for name, value in found.items()}
        case _:
            return {}


def attempt_key(ctx: CellContext, marker: WorktreeMarker) -> str:
    """What an attempt is for: the phase's own values, what the worktree was made from, and changes
    of its contracts that other cells need (`orchestr.cell.granted`)."""
    plain = plain_attempt_key(ctx, marker)
    grants = read_grants(ctx.dir) if ctx.run.feature.contracts else None
    return plain if grants is None else extend_key(plain, grants.items)


def plain_attempt_key(ctx: CellContext, marker: WorktreeMarker) -> str:
    """What an attempt is for by spec, settings and worktree.

    The tree of an `action: push` cell is a person's, so its local head counts too.
    """
    extra = local_head(ctx) if ctx.cell.action is Action.PUSH else None
    if ctx.cell.has_plan_phase:
        planned = PlanRecord.read(ctx.dir)
        extra = (planned.digest or None) if planned else None  # the plan that it carries out
    found = outputs_before(ctx, Phase.IMPLEMENT)
    parts = (phase_digest(ctx, Phase.IMPLEMENT), marker.content_digest(), extra)
    return digest(*parts, found) if found else digest(*parts)


def plan_key(ctx: CellContext, marker: WorktreeMarker) -> str:
    """What a plan is for: the phase's own values and what the worktree was made from."""
    found = outputs_before(ctx, Phase.PLAN)
    parts = (phase_digest(ctx, Phase.PLAN), marker.content_digest())
    return digest(*parts, found) if found else digest(*parts)


def local_head(ctx: CellContext) -> str | None:
    """The head of a person's branch, None when repository or branch is not there."""
    try:
        return ctx.repo.resolve_commit(f"refs/heads/{ctx.cell.branch}")
    except MachineFault:
        raise
    except OrchestrError:
        return None
