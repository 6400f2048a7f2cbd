"""Plan -> doit tasks: one per phase with a file target, groups for cells and the feature.

doit decides what is up to date by files (`file_dep`, `targets`) and by one digest a phase; the
phases themselves know whether they are done, so a missing row in `.doit.db` means nothing. The
actions are ordered by our own slots, critical path first: doit's start order is undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from doit.action import BaseAction
from doit.exceptions import BaseFail, TaskFailed
from doit.task import Task

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.phases.run_phase import give_ports_back, run_phase
from orchestr.errors import NeedsAmendment, NeedsApproval, OrchestrError, UsageError
from orchestr.files import display_path
from orchestr.settings.repo_paths import head_file, repo_path
from orchestr.spec.goal_names import FEATURE_PREFIX
from orchestr.spec.phases import Action, Phase
from orchestr.spec.records import AUDIT
from orchestr.state.results import (
    CHECKS,
    HEAD,
    IMPLEMENT,
    MARKER,
    PLAN,
    PLAN_TEXT,
    PR_URL,
    PUBLISHED,
    REVIEW,
    TRANSCRIPT,
    TREE,
    digest,
)
from orchestr.tasks.finish_feature import finish_feature, links_file
from orchestr.tasks.outside_changes import current_phase_digest, has_outside_changes
from orchestr.tasks.own_tasks import (
    describe_own_phase,
    list_givens,
    list_own_results_before,
    list_own_targets,
)


@dataclass(frozen=True, slots=True)
class CellSelection:
    """Which cells take part: the others (ignored, or not in `--only`) are frozen."""

    still: frozenset[str] = frozenset()
    ignore_deps: bool = False


class ApprovalPending(TaskFailed):  # type: ignore[misc]
    """A phase stopped at a gate: a person has to say yes."""


class AmendmentPending(TaskFailed):  # type: ignore[misc]
    """A cell is blocked on a contract that the run amends."""


class TaskAction(BaseAction):  # type: ignore[misc]
    """A doit action that calls a function of ours and turns our errors into doit's."""

    def __init__(self, call: Callable[[], None], name: str) -> None:
        self.call = call
        self.name = name
        self.task: Task | None = None
        self.out: str | None = None
        self.err: str | None = None
        self.result: str | None = None
        self.values: dict[str, Any] = {}

    def execute(self, out: Any = None, err: Any = None) -> BaseFail | None:
        """Run it; a failure is a value here, doit reports it."""
        try:
            self.call()
        except NeedsApproval as error:
            return (
                ApprovalPending(str(error)) if error.state == "approval" else TaskFailed(str(error))
            )
        except NeedsAmendment as error:
            return AmendmentPending(str(error))
        except OrchestrError as error:
            failed = TaskFailed(str(error))
            failed.hint = error.hint  # the reporter shows it for a step that belongs to no cell
            return failed
        except Exception as error:  # a fault of ours must fail this phase only
            return TaskFailed(f"{type(error).__name__}: {error}", error)
        return None

    def __str__(self) -> str:
        return self.name


class SameDigest:
    """Up to date while the saved digest is the current one, as doit's `config_changed`."""

    # doit asks for it at every task; working it out took an eighth of a run with nothing to do.
    __signature__ = Signature(
        [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("task", "values")]
    )

    def __init__(self, value: str | Callable[[], str], also: Callable[[], bool] | None = None):
        self._value = value
        self.also = also

    def configure_task(self, task: Task) -> None:
        task.value_savers.append(lambda: {"_digest": self.current_digest})

    @property
    def current_digest(self) -> str:
        """The current digest; a callable is asked once, when doit first wants to know."""
        if not isinstance(self._value, str):
            self._value = self._value()
        return self._value

    def __call__(self, task: Task, values: dict[str, Any]) -> bool:
        if values.get("_digest") != self.current_digest:
            return False
        return self.also is None or self.also()


def feature_task_name(run: FeatureRun) -> str:
    """`feature:NAME`."""
    return f"{FEATURE_PREFIX}{run.feature.name}"


def cell_task_name(run: FeatureRun, cell: str) -> str:
    """`feature:NAME:CELL`."""
    return f"{FEATURE_PREFIX}{run.feature.name}:{cell}"


def audit_task_name(run: FeatureRun) -> str:
    """`feature:NAME:audit`."""
    return f"{FEATURE_PREFIX}{run.feature.name}:{AUDIT}"


def phase_task_name(run: FeatureRun, cell: str, phase: str) -> str:
    """`feature:NAME:CELL:PHASE`."""
    return f"{FEATURE_PREFIX}{run.feature.name}:{cell}:{phase}"


def make_feature_tasks(run: FeatureRun, selection: CellSelection) -> list[Task]:
    """The doit tasks of one feature, the feature's group first, cells in plan order."""
    tasks: list[Task] = []
    links = links_file(run)
    moving = [p.name for p in run.plan.cells if p.name not in selection.still]
    feature = run.feature
    crosses = bool(feature.cross_checks) and not feature.has_audit
    files = (PR_URL, HEAD) if crosses else (PR_URL,)
    last = [audit_task_name(run)] if feature.has_audit else []
    group = Task(
        feature_task_name(run),
        [
            TaskAction(
                lambda: run_announced(run, lambda: finish_feature(run, moving)),
                "link the pull requests",
            )
        ],
        file_dep=[str(run.cell_context(name).dir / file) for name in moving for file in files],
        task_dep=[*(cell_task_name(run, p.name) for p in run.plan.cells), *last],
        targets=[str(links)] if moving else [],
        uptodate=[
            SameDigest(digest(sorted(moving), *(cross_check_digests(run) if crosses else ())))
        ],
        has_subtask=True,
        doc=f"{run.feature.title} ({run.feature.key}, {len(run.feature.cells)} cells)",
        io={"capture": False},
    )
    tasks.append(group)
    for plan in run.plan.cells:
        tasks += _make_cell_tasks(run.cell_context(plan.name), selection)
    if feature.has_audit:
        tasks.append(_make_audit_task(run, moving))
    return tasks


def _make_audit_task(run: FeatureRun, moving: Sequence[str]) -> Task:
    """The last target: valid for exactly these trees, made again while it is not green."""
    from orchestr.audit.record import audit_file, audit_key, explain_missing_audit

    def audit() -> None:
        from orchestr.audit.run_audit import make_audit

        make_audit(run)

    return Task(
        audit_task_name(run),
        [TaskAction(lambda: run_announced(run, audit), "audit")],
        file_dep=[str(run.cell_context(name).dir / TREE) for name in moving],
        task_dep=[cell_task_name(run, p.name) for p in run.plan.cells],
        targets=[str(audit_file(run))],
        uptodate=[SameDigest(lambda: audit_key(run), lambda: not explain_missing_audit(run))],
        subtask_of=feature_task_name(run),
        doc="cross checks and auditors on the merged work",
        io={"capture": False},
    )


def _make_cell_tasks(ctx: CellContext, selection: CellSelection) -> Iterable[Task]:
    run, name = ctx.run, ctx.cell.name
    yield Task(
        cell_task_name(run, name),
        None,
        task_dep=[phase_task_name(run, name, phase) for phase in ctx.cell.task_phases],
        uptodate=[True],
        has_subtask=True,
        subtask_of=feature_task_name(run),
        doc=_cell_doc(ctx),
    )
    for phase in ctx.cell.task_phases:
        if name in selection.still:
            yield Task(
                phase_task_name(run, name, phase),
                None,
                uptodate=[True],
                subtask_of=cell_task_name(run, name),
                doc=f"{phase}: stands still",
            )
        else:
            yield _make_phase_task(ctx, phase, selection)


def _cell_doc(ctx: CellContext) -> str:
    after = f", after {', '.join(ctx.cell.depends_on)}" if ctx.cell.depends_on else ""
    who = "pushes what is there" if ctx.cell.action is Action.PUSH else ctx.agent_name
    return f"{ctx.cell.repo} on {ctx.cell.branch} ({who}){after}"


def _make_phase_task(ctx: CellContext, phase: str, selection: CellSelection) -> Task:
    files = ctx.dir
    deps: list[Path] = []
    task_dep: list[str] = []
    match phase:
        case Phase.WORKTREE:
            deps = [ctx.run.cell_context(up).dir / TREE for up in ctx.plan.upstreams]
            if is_made_on_demand(ctx.run, ctx.cell.repo):
                task_dep = [f"repo:{ctx.cell.repo}"]
            targets, doc = [files / MARKER], "make the worktree on its base"
        case Phase.PLAN:
            deps, targets = [files / MARKER], [files / PLAN, files / PLAN_TEXT]
            doc = "the agent writes a plan, a person approves it"
        case Phase.IMPLEMENT:
            deps, targets = [files / MARKER], [files / IMPLEMENT]
            if ctx.cell.has_plan_phase:
                deps.append(files / PLAN)
            if ctx.cell.action is Action.AGENT:
                targets.append(files / TRANSCRIPT)
            doc = "a person's commits, proved by the host"
            if ctx.cell.action is Action.AGENT:
                doc = "the agent works, the host commits and proves"
        case Phase.CHECK:
            deps, targets, doc = [files / IMPLEMENT], [files / CHECKS], "checks on that head"
        case Phase.REVIEW:
            deps, doc = [files / CHECKS], "reviews on that head"
            targets = [files / REVIEW, files / HEAD, files / TREE]
        case Phase.PUBLISH:
            deps = [ctx.run.cell_context(up).dir / PR_URL for up in ctx.plan.stack]
            deps += [files / HEAD, files / CHECKS, files / REVIEW]  # the body shows the evidence
            targets = [files / PR_URL, files / PUBLISHED]
            doc = "push, open or update the pull request"
        case _:
            deps = [files / name for name in list_givens(ctx, phase)]
            targets, doc = list_own_targets(ctx, phase), describe_own_phase(ctx, phase)
    if ctx.cell.own_phases:
        deps += [files / name for name in list_own_results_before(ctx, phase)]
    if selection.ignore_deps:
        deps = [path for path in deps if path.parent == files or path.exists()]
    return Task(
        phase_task_name(ctx.run, ctx.cell.name, phase),
        [TaskAction(lambda: run_announced(ctx.run, lambda: run_phase(ctx, phase)), str(phase))],
        file_dep=[str(path) for path in deps],
        targets=[str(path) for path in targets],
        task_dep=task_dep,
        uptodate=[
            SameDigest(
                lambda: current_phase_digest(ctx, phase),
                lambda: not has_outside_changes(ctx, phase),
            )
        ],
        subtask_of=cell_task_name(ctx.run, ctx.cell.name),
        doc=doc,
        io={"capture": False},
    )


def run_announced(run: FeatureRun, work: Callable[[], None]) -> None:
    """Do ``work`` if `run` began this run: it asked before money is spent, and holds the lease.

    Other commands that execute tasks (doit's `strace`, those of other packages) did neither.
    Raises UsageError.
    """
    if not run.id:
        raise UsageError(
            "only `run` starts the work of a feature: it asks before an agent that costs money, "
            "and no second run can begin",
            hint=f"orchestr run {run.feature.name}",
        )
    work()


def is_made_on_demand(run: FeatureRun, repo: str) -> bool:
    """Whether a task `repo:NAME` clones or creates this repository."""
    settings = run.settings.repo_settings(repo)
    return bool(settings.url or settings.create)


def free_leftover_ports(run: FeatureRun) -> None:
    """At the start of a run, which holds the feature: what an earlier one left leased is free."""
    for cell in run.feature.cells:
        give_ports_back(run.cell_context(cell.name))


def cross_check_digests(run: FeatureRun) -> list[str]:
    """The digest of the feature's cross checks, if it has any."""
    if not run.feature.cross_checks:
        return []
    from orchestr.cell.phases import cross_checks

    return [str(cross_checks.cross_check_digest(run))]


def make_repo_tasks(run: FeatureRun) -> list[Task]:
    """`repo:NAME` for every repository of the feature that is cloned or created on demand."""
    tasks = []
    for name in sorted({cell.repo for cell in run.feature.cells}):
        if is_made_on_demand(run, name):
            path = repo_path(run.settings, name)
            verb = "clone" if run.settings.repo_settings(name).url else "create"
            tasks.append(
                Task(
                    f"repo:{name}",
                    [TaskAction(partial(make_repo, run, name), f"make repository {name}")],
                    targets=[str(head_file(path))],
                    uptodate=[SameDigest("repo")],
                    doc=f"{verb} {display_path(path, run.layout.root)}",
                    io={"capture": False},
                )
            )
    return tasks


def make_repo(run: FeatureRun, name: str) -> None:
    """Clone or create one repository, once."""
    from orchestr.cell.phases.clone_repo import RepoMaker

    RepoMaker(run.settings, name).make()
