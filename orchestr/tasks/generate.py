"""Plan -> doit tasks: one per phase with a file target, groups for cells and the feature.

doit decides what is up to date by files (`file_dep`, `targets`) and by one digest a phase; the
phases themselves know whether they are done, so a missing row in `.doit.db` means nothing. The
actions take their turn by slots of our own, critical path first: doit's start order is undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from doit.action import BaseAction
from doit.exceptions import BaseFail, TaskFailed
from doit.task import Task

from orchestr.cell.context import CellContext, Run, observed, repo_path
from orchestr.cell.phases.run_phase import give_ports_back, perform, runner
from orchestr.errors import NeedsApproval, OrchestrError
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts
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

LINKS = "links.toml"  # beside the cells: what the bodies of the pull requests say of each other


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cells take part: the others (ignored, or not in `--only`) stand still."""

    still: frozenset[str] = frozenset()
    ignore_deps: bool = False


class Waits(TaskFailed):  # type: ignore[misc]
    """A phase stopped at a gate: a person has to say yes."""


class Step(BaseAction):  # type: ignore[misc]
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
            return Waits(str(error)) if error.state == "approval" else TaskFailed(str(error))
        except OrchestrError as error:
            failed = TaskFailed(str(error))
            failed.hint = error.hint  # of a step that is no cell's the reporter tells it
            return failed
        except Exception as error:  # a fault of ours must fail this phase only (row A43)
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
        task.value_savers.append(lambda: {"_digest": self.value})

    @property
    def value(self) -> str:
        """The current digest; a callable is asked once, when doit first wants to know."""
        if not isinstance(self._value, str):
            self._value = self._value()
        return self._value

    def __call__(self, task: Task, values: dict[str, Any]) -> bool:
        if values.get("_digest") != self.value:
            return False
        return self.also is None or self.also()


def feature_task(run: Run) -> str:
    """`feature:NAME`."""
    return f"feature:{run.feature.name}"


def cell_task(run: Run, cell: str) -> str:
    """`feature:NAME:CELL`."""
    return f"feature:{run.feature.name}:{cell}"


def phase_task(run: Run, cell: str, phase: Phase) -> str:
    """`feature:NAME:CELL:PHASE`."""
    return f"feature:{run.feature.name}:{cell}:{phase}"


def generate(run: Run, selection: Selection) -> list[Task]:
    """The doit tasks of one feature, the feature's group first, cells in plan order."""
    tasks: list[Task] = []
    links = run.layout.feature_dir(run.feature.name) / LINKS
    moving = [p.name for p in run.plan.cells if p.name not in selection.still]
    files = (PR_URL, HEAD) if run.feature.cross_checks else (PR_URL,)
    group = Task(
        feature_task(run),
        [Step(lambda: finish(run, links, moving), "link the pull requests")],
        file_dep=[str(run.cell(name).dir / file) for name in moving for file in files],
        task_dep=[cell_task(run, p.name) for p in run.plan.cells],
        targets=[str(links)] if moving else [],
        uptodate=[SameDigest(digest(sorted(moving), *crossed(run)))],
        has_subtask=True,
        doc=f"{run.feature.title} ({run.feature.key}, {len(run.feature.cells)} cells)",
        io={"capture": False},
    )
    tasks.append(group)
    for plan in run.plan.cells:
        tasks += _cell_tasks(run.cell(plan.name), selection)
    return tasks


def _cell_tasks(ctx: CellContext, selection: Selection) -> Iterable[Task]:
    run, name = ctx.run, ctx.cell.name
    yield Task(
        cell_task(run, name),
        None,
        task_dep=[phase_task(run, name, phase) for phase in ctx.cell.steps],
        uptodate=[True],
        has_subtask=True,
        subtask_of=feature_task(run),
        doc=_cell_doc(ctx),
    )
    for phase in ctx.cell.steps:
        if name in selection.still:
            yield Task(
                phase_task(run, name, phase),
                None,
                uptodate=[True],
                subtask_of=cell_task(run, name),
                doc=f"{phase}: stands still",
            )
        else:
            yield _phase_task(ctx, phase, selection)


def _cell_doc(ctx: CellContext) -> str:
    after = f", after {', '.join(ctx.cell.depends_on)}" if ctx.cell.depends_on else ""
    who = "pushes what is there" if ctx.cell.action is Action.PUSH else ctx.agent_name
    return f"{ctx.cell.repo} on {ctx.cell.branch} ({who}){after}"


def _phase_task(ctx: CellContext, phase: Phase, selection: Selection) -> Task:
    files = ctx.dir
    deps: list[Path] = []
    task_dep: list[str] = []
    match phase:
        case Phase.WORKTREE:
            deps = [ctx.run.cell(up).dir / TREE for up in ctx.plan.upstreams]
            if made_on_demand(ctx.run, ctx.cell.repo):
                task_dep = [f"repo:{ctx.cell.repo}"]
            targets, doc = [files / MARKER], "make the worktree on its base"
        case Phase.PLAN:
            deps, targets = [files / MARKER], [files / PLAN, files / PLAN_TEXT]
            doc = "the agent writes a plan, a person approves it"
        case Phase.IMPLEMENT:
            deps, targets = [files / MARKER], [files / IMPLEMENT]
            if ctx.cell.plans:
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
            deps = [ctx.run.cell(up).dir / PR_URL for up in ctx.plan.stack]
            deps += [files / HEAD, files / CHECKS, files / REVIEW]  # it tells the evidence
            targets = [files / PR_URL, files / PUBLISHED]
            doc = "push, open or update the pull request"
    if selection.ignore_deps:
        deps = [path for path in deps if path.parent == files or path.exists()]
    return Task(
        phase_task(ctx.run, ctx.cell.name, phase),
        [Step(lambda: perform(ctx, phase), str(phase))],
        file_dep=[str(path) for path in deps],
        targets=[str(path) for path in targets],
        task_dep=task_dep,
        uptodate=[SameDigest(lambda: saved_digest(ctx, phase), lambda: not news(ctx, phase))],
        subtask_of=cell_task(ctx.run, ctx.cell.name),
        doc=doc,
        io={"capture": False},
    )


def made_on_demand(run: Run, repo: str) -> bool:
    """Whether a task `repo:NAME` clones or creates this repository."""
    settings = run.settings.repo(repo)
    return bool(settings.url or settings.create)


def saved_digest(ctx: CellContext, phase: Phase) -> str:
    """What doit remembers of a phase besides its files."""
    own = ctx.digest_of(phase)
    match phase:
        case Phase.WORKTREE:
            return digest(own, sorted(ctx.plan.upstreams))
        case Phase.IMPLEMENT if ctx.cell.action is Action.PUSH:
            from orchestr.cell.phases.implement import local_head

            return digest(own, local_head(ctx))
        case Phase.PUBLISH if ctx.plan.stack:
            from orchestr.cell.phases.publish import pr_base_seen

            return digest(own, pr_base_seen(ctx))
        case _:
            return own


def news(ctx: CellContext, phase: Phase) -> bool:
    """Whether something outside of files and digests makes the phase run; asks no network."""
    match phase:
        case Phase.WORKTREE:
            # A moved base is seen by a fetch only.
            return ctx.cell.track_base or attempts.fresh_request(ctx.dir) is not None
        case Phase.PLAN:
            return runner(phase).reason(ctx) is not None  # a person's answer, an edited plan
        case Phase.IMPLEMENT if ctx.cell.action is Action.AGENT and observed(ctx.run, ctx.cell):
            from orchestr.cell.pull_request.foreign_commits import theirs_seen

            return theirs_seen(ctx)
        case Phase.CHECK | Phase.REVIEW if ctx.cell.proof.allow_partial:
            return runner(phase).reason(ctx) is not None  # somebody mended what was red
        case Phase.PUBLISH if observed(ctx.run, ctx.cell):
            from orchestr.cell.phases.publish import closed_seen

            return closed_seen(ctx)
        case _:
            return False


def free_ports_left(run: Run) -> None:
    """At the start of a run, which holds the feature: what an earlier one left leased is free."""
    for cell in run.feature.cells:
        give_ports_back(run.cell(cell.name))


def crossed(run: Run) -> list[str]:
    """The digest of the feature's cross checks, if it has any."""
    if not run.feature.cross_checks:
        return []
    from orchestr.cell.phases import cross_checks

    return [str(cross_checks.digest_of(run))]


def finish(run: Run, links: Path, cells: Collection[str]) -> None:
    """The last step of a feature: its pull requests name each other, its cross checks run."""
    link(run, links, cells)
    if run.feature.cross_checks:
        from orchestr.cell.phases import cross_checks

        cross_checks.run_cross_checks(run)


def link(run: Run, links: Path, cells: Collection[str]) -> None:
    """Bring the bodies of the feature's pull requests up to date with each other."""
    from orchestr.cell.phases import link_pull_requests
    from orchestr.files import write_toml

    urls = link_pull_requests.link(run, cells)
    write_toml(links, {"schema": 1, "links": urls})


def repo_tasks(run: Run) -> list[Task]:
    """`repo:NAME` for every repository of the feature that is cloned or created on demand."""
    tasks = []
    for name in sorted({cell.repo for cell in run.feature.cells}):
        if made_on_demand(run, name):
            path = repo_path(run.settings, name)
            verb = "clone" if run.settings.repo(name).url else "create"
            tasks.append(
                Task(
                    f"repo:{name}",
                    [Step(partial(make_repo, run, name), f"make repository {name}")],
                    targets=[str(path / ".git" / "HEAD")],
                    uptodate=[SameDigest("repo")],
                    doc=f"{verb} {shown(path, run.layout.root)}",
                    io={"capture": False},
                )
            )
    return tasks


def make_repo(run: Run, name: str) -> None:
    """Clone or create one repository, once."""
    from orchestr.cell.phases.clone_repo import RepoMaker

    RepoMaker(run.settings, name).make()


def shown(path: Path, root: Path) -> str:
    """A path as people write it: below the workspace without its root."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
