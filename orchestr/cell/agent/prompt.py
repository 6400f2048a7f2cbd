"""The prompt of an attempt, and the variables that go with it.

Owns what a template may know (`template_facts`: plain dicts, documented in docs/prompt.md) and the
made-up facts with which a workspace's own template is tried before anything starts. Nothing secret
is in
them. The text itself is `prompt.md.j2` or the workspace's template, by
`orchestr.cell.agent.prompt_template`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from orchestr.cell import approval
from orchestr.cell.agent import own_prompt, plan_prompt
from orchestr.cell.agent.goal import describe_goal
from orchestr.cell.agent.prompt_template import (
    PromptTemplate,
    built_in_template,
    find_template_problems,
)
from orchestr.cell.amendment import amendment_notes
from orchestr.cell.auto_amendment import bound_notes
from orchestr.cell.context import CellContext
from orchestr.cell.kit import expand_names
from orchestr.cell.own_results import outputs_before, quote_outputs
from orchestr.cell.pull_request.text import pull_request_url
from orchestr.cell.worktree import commit_style
from orchestr.cell.worktree.commit_style import CommitRules
from orchestr.cell.worktree.readable_checkout import readable_checkout
from orchestr.errors import Problem
from orchestr.settings.records import Settings
from orchestr.spec.checks import CheckDef, Gate
from orchestr.spec.phases import Action, Phase
from orchestr.spec.records import Cell, Feature
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.ports import FILE as PORTS
from orchestr.state.results import HeadRecord, WorktreeMarker


def build_prompt(
    ctx: CellContext,
    attempt: Attempt,
    notes: str,
    *,
    checks: Sequence[str] | None = None,
    test_first: bool | None = None,
) -> str:
    """The whole prompt, Markdown. ``checks``: a line for each check; default: the cell's.

    Raises SpecError with the place in the workspace's template.
    """
    workspace = ctx.run.settings.workspace
    values = template_facts(ctx, attempt, notes, checks=checks, test_first=test_first)
    own = workspace.prompt
    template = built_in_template() if own is None else PromptTemplate(own, workspace.root)
    found = quote_outputs(ctx, outputs_before(ctx, Phase.IMPLEMENT))
    return template.render(values) + (f"\n{found}" if found else "")


def build_plan_prompt(ctx: CellContext, plan: Attempt, refusal: str) -> str:
    """The whole prompt of a plan. ``refusal`` is what was wrong with the last one."""
    text = plan_prompt.render_plan_prompt(ctx, plan, refusal, template_facts(ctx, plan))
    found = quote_outputs(ctx, outputs_before(ctx, Phase.PLAN))
    return text + (f"\n{found}" if found else "")


def build_own_prompt(ctx: CellContext, attempt: Attempt, notes: str) -> str:
    """The whole prompt of a phase of one's own; ``notes``: why the last answer was refused."""
    return own_prompt.render_own_prompt(ctx, attempt, notes, template_facts(ctx, attempt))


def check_template(settings: Settings, features: Iterable[Feature]) -> list[Problem]:
    """What is wrong with the workspace's own template, if it has one. Reads no repository."""
    workspace = settings.workspace
    if workspace.prompt is None:
        return []
    return find_template_problems(workspace.prompt, workspace.root, example_facts(features))


def template_facts(
    ctx: CellContext,
    attempt: Attempt,
    notes: str = "",
    *,
    checks: Sequence[str] | None = None,
    test_first: bool | None = None,
) -> dict[str, Any]:
    """Everything a template may use, as it is now. Looks only."""
    marker = WorktreeMarker.read(ctx.dir)
    place_of = {
        "worktree": str(ctx.worktree),
        "base": marker.base if marker else "",
        "base_ref": marker.base_ref if marker else "",
    }
    return {
        "feature": _feature_facts(ctx.run.feature),
        "cell": {
            **_cell_facts(ctx.cell),
            **place_of,
            "allowed": _allowed_paths(ctx.run.feature, ctx.cell),
        },
        "attempt": _attempt_facts(attempt, _last_failure(ctx, attempt)),
        "plan": plan_prompt.quote_approved_plan(ctx),
        "plan_gate": ctx.cell.has_plan_gate,
        "notes": notes,
        "amendments": [*amendment_notes(ctx), *bound_notes(ctx, attempt)],
        "contracts": _foreign_contracts(ctx.run.feature, ctx.cell),
        "shared": [
            name
            for name in expand_names(ctx.repo_settings.link, ctx.repo_path)
            if (ctx.worktree / name).is_symlink()
        ],
        "ports_file": PORTS if ctx.cell.proof.ports else "",
        "upstreams": [_upstream_facts(up) for up in ctx.upstreams()],
        "commits": _commit_facts(commit_style.commit_rules(ctx)),
        "checks": list(check_lines(ctx) if checks is None else checks),
        "test_first": ctx.cell.proof.test_first if test_first is None else test_first,
    }


def check_lines(ctx: CellContext) -> list[str]:
    """A line for each check that the engine runs on the cell's head."""
    if Phase.CHECK not in ctx.cell.phases:
        return []
    return [_check_line(check) for check in (*ctx.repo_settings.checks, *ctx.cell.proof.checks)]


def _check_line(check: CheckDef) -> str:
    where = f" in `{check.cwd}`" if check.cwd else ""
    words = getattr(check, "run", ())
    what = f": `{shlex.join(words)}`" if words else ""
    return f"check `{check.name}` ({check.kind}){what}{where}"


def _feature_facts(feature: Feature) -> dict[str, Any]:
    return {
        "name": feature.name,
        "key": feature.key,
        "title": feature.title,
        "jira": feature.jira,
        "scenarios": list(feature.scenarios),
        "goal": describe_goal(feature),
        "intent": feature.intent or "",
        "done_means": list(feature.done_means),
        "non_goals": list(feature.non_goals),
        "cells": [_cell_facts(cell) for cell in feature.cells],
    }


def _cell_facts(cell: Cell) -> dict[str, Any]:
    return {
        "name": cell.name,
        "repo": cell.repo,
        "branch": cell.branch,
        "title": cell.title,
        "action": cell.action.value,
        "todo": list(cell.todo),
        "depends_on": list(cell.depends_on),
        "owned_paths": list(cell.owned_paths),
    }


def _allowed_paths(feature: Feature, cell: Cell) -> list[str]:
    """What the cell may change, empty for everything."""
    if not cell.owned_paths:
        return []
    mine = [c.path for c in feature.contracts if c.owner == cell.name]
    return list(dict.fromkeys((*cell.owned_paths, *cell.proof.shared_paths, *mine)))


def _foreign_contracts(feature: Feature, cell: Cell) -> list[dict[str, str]]:
    """The paths that only other cells may change."""
    theirs = [c for c in feature.contracts if c.owner != cell.name]
    return [{"path": c.path, "owner": c.owner} for c in theirs]


def _attempt_facts(attempt: Attempt, last_failure: str) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "fresh": bool(attempt.fresh),
        "agent": attempt.agent,
        "model": attempt.model,
        "last_failure": last_failure,
    }


def _last_failure(ctx: CellContext, attempt: Attempt) -> str:
    """Why the attempt before was not accepted: what a later one must know above all."""
    refusal = approval.read_decision(ctx.dir, Gate.PUBLISH)
    if refusal is not None and refusal.verdict == approval.REFUSED:
        return f"a person refused to publish the last result: {refusal.reason}"
    before = [
        a
        for a in attempts.iter_attempts(ctx.dir)
        if a.number < attempt.number and a.of == attempt.of
    ]
    if before and before[-1].outcome == "failed" and not attempt.fresh:
        return before[-1].reason
    return ""


def _commit_facts(rules: CommitRules) -> dict[str, Any]:
    return {
        "conventional": rules.conventional,
        "key": rules.key,
        "trailers": list(rules.trailers),
        "subject": rules.subject,
    }


def _upstream_facts(ctx: CellContext) -> dict[str, Any]:
    head = HeadRecord.read(ctx.dir)
    known = _unbuilt_facts(ctx.cell)
    if head is None:
        return known
    stat = ctx.repo.diff_stat(head.base, head.head).strip().splitlines()
    return {
        **known,
        "built": True,
        "worktree": str(readable_checkout(ctx)),
        "head": head.head,
        "base": head.base,
        "outcome": head.outcome.value,
        "diff_stat": [line.strip() for line in stat[-12:]],
        "pr": pull_request_url(ctx),
    }


def _unbuilt_facts(cell: Cell) -> dict[str, Any]:
    """An upstream of which nothing is there; every key that a built one has, too."""
    nothing: dict[str, Any] = {
        "worktree": "",
        "head": "",
        "base": "",
        "outcome": "",
        "diff_stat": [],
        "pr": None,
    }
    return {**_cell_facts(cell), "built": False, **nothing}


MOST_TRIED = 100  # cells of one feature; each shows the whole feature


def example_facts(features: Iterable[Feature]) -> Iterator[dict[str, Any]]:
    """Facts to try a template with: every cell before anything is built, and with all there is."""
    for feature in (EXAMPLE, *features):
        cells = [cell for cell in feature.cells if cell.action is Action.AGENT]
        for cell in cells[:MOST_TRIED]:
            yield _made_up_facts(feature, cell, full=False)
            full = _made_up_facts(feature, cell, full=True)
            yield full
            yield {**full, "attempt": {**full["attempt"], "fresh": True, "last_failure": ""}}


def _made_up_facts(feature: Feature, cell: Cell, *, full: bool) -> dict[str, Any]:
    """The same keys as `template_facts`: nothing there yet, or (``full``) everything there."""
    commit = "0123456789" * 4
    made = {
        "built": True, "worktree": "/worktrees/up", "head": commit, "base": commit,
        "outcome": "changed", "diff_stat": ["a.txt | 1 +", "1 file changed"],
        "pr": "https://example.org/pull/1",
    }  # fmt: skip
    ups = [_unbuilt_facts(feature.cell(name)) for name in cell.depends_on]
    attempt = Attempt(2 if full else 1, "", cell.agent or "agent", commit, cell.model or "")
    rules = CommitRules(full, feature.key, ("Reviewed-by: A Name <a@example.org>",) if full else ())
    return {
        "feature": _feature_facts(feature),
        "cell": {
            **_cell_facts(cell),
            "worktree": "/worktrees/cell",
            "base": commit,
            "base_ref": "main",
            "allowed": _allowed_paths(feature, cell),
        },
        "attempt": _attempt_facts(attempt, "its checks failed" if full else ""),
        "plan": "> First this, then that." if full else "",
        "plan_gate": full,
        "notes": "Something was left here." if full else "",
        "amendments": ["Cell `ui` needs a field."] if full else [],
        "contracts": _foreign_contracts(feature, cell),
        "shared": ["node_modules"] if full else [],
        "ports_file": PORTS if full else "",
        "upstreams": [{**up, **made} if full else up for up in ups],
        "commits": _commit_facts(rules),
        "checks": ["`make test`"] if full else [],
        "test_first": full,
    }


EXAMPLE = Feature(
    "example",
    "EX-1",
    "An example",
    (
        Cell("api", "api", "EX-1-api", todo=("do it",), owned_paths=("src/**",)),
        Cell("ui", "ui", "EX-1-ui", todo=("use it",), depends_on=("api",)),
    ),
    jira="EX-1",
    scenarios=("it works",),
    intent="People ask for it.",
    done_means=("it works everywhere",),
    non_goals=("a rewrite",),
)
