"""Plan -> doit tasks: one per phase with a file target, groups for cells and the feature.

doit decides what is up to date by files (`file_dep`, `targets`) and by one digest a phase; the
phases themselves know whether they are done, so a missing row in `.doit.db` means nothing. The
actions take their turn by slots of our own, critical path first: doit's start order is undefined.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from doit.action import BaseAction
from doit.exceptions import BaseFail, TaskFailed
from doit.task import Task

from orchestr.cell import check, implement, publish, review, worktree
from orchestr.cell.context import CellContext, Run
from orchestr.cell.records import (
    CHECKS,
    HEAD,
    IMPLEMENT,
    MARKER,
    PR_URL,
    REVIEW,
    TRANSCRIPT,
    TREE,
    digest,
)
from orchestr.cell.repo import RepoMaker
from orchestr.cell.result import Result
from orchestr.errors import Interrupted, OrchestrError
from orchestr.events import Kind
from orchestr.spec.records import Action, Phase

LINKS = "links.toml"  # beside the cells: what the bodies of the pull requests say of each other
RUNNERS: MappingProxyType[Phase, Any] = MappingProxyType(
    {
        Phase.WORKTREE: worktree,
        Phase.IMPLEMENT: implement,
        Phase.CHECK: check,
        Phase.REVIEW: review,
        Phase.PUBLISH: publish,
    }
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cells take part: the others (ignored, or not in `--only`) stand still."""

    still: frozenset[str] = frozenset()
    ignore_deps: bool = False


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
        except OrchestrError as error:
            return TaskFailed(str(error))
        except Exception as error:  # a fault of ours must fail this phase only (row A43)
            return TaskFailed(f"{type(error).__name__}: {error}", error)
        return None

    def __str__(self) -> str:
        return self.name


class SameDigest:
    """Up to date while the saved digest is the current one, as doit's `config_changed`."""

    def __init__(self, value: str, also: Callable[[], bool] | None = None) -> None:
        self.value = value
        self.also = also

    def configure_task(self, task: Task) -> None:
        task.value_savers.append(lambda: {"_digest": self.value})

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
    group = Task(
        feature_task(run),
        [Step(lambda: link(run, links, moving), "link the pull requests")],
        file_dep=[str(run.cell(name).dir / PR_URL) for name in moving],
        task_dep=[cell_task(run, p.name) for p in run.plan.cells],
        targets=[str(links)] if moving else [],
        uptodate=[SameDigest(digest(sorted(moving)))],
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
        task_dep=[phase_task(run, name, phase) for phase in Phase],
        uptodate=[True],
        has_subtask=True,
        subtask_of=feature_task(run),
        doc=_cell_doc(ctx),
    )
    for phase in Phase:
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
    saved = ctx.digest_of(phase)
    also: Callable[[], bool] | None = None
    match phase:
        case Phase.WORKTREE:
            deps = [ctx.run.cell(up).dir / TREE for up in ctx.plan.upstreams]
            if selection.ignore_deps:
                deps = [path for path in deps if path.exists()]
            saved = digest(saved, sorted(ctx.plan.upstreams))
            if RepoMaker(ctx.run.settings, ctx.cell.repo).needed:
                task_dep = [f"repo:{ctx.cell.repo}"]
            if ctx.cell.track_base:
                also = lambda: False  # noqa: E731  (a moved base is seen by a fetch only)
            targets = [files / MARKER]
            doc = "make the worktree on its base"
        case Phase.IMPLEMENT:
            deps = [files / MARKER]
            targets = [files / IMPLEMENT]
            if ctx.cell.action is Action.PUSH:
                saved = digest(saved, implement.local_head(ctx))
            else:
                targets.append(files / TRANSCRIPT)
                also = lambda: not implement.theirs_seen(ctx)  # noqa: E731
            doc = "the agent works, the host commits and proves"
        case Phase.CHECK:
            deps, targets, doc = [files / IMPLEMENT], [files / CHECKS], "checks on that head"
        case Phase.REVIEW:
            deps, doc = [files / CHECKS], "reviews on that head"
            targets = [files / REVIEW, files / HEAD, files / TREE]
        case Phase.PUBLISH:
            deps = [files / HEAD]
            deps += [ctx.run.cell(up).dir / PR_URL for up in ctx.plan.stack]
            if selection.ignore_deps:
                deps = [path for path in deps if path.name == HEAD or path.exists()]
            saved = digest(saved, publish.pr_base_seen(ctx))
            also = lambda: not publish.closed_seen(ctx)  # noqa: E731
            targets, doc = [files / PR_URL], "push, open or update the pull request"
    return Task(
        phase_task(ctx.run, ctx.cell.name, phase),
        [Step(lambda: perform(ctx, phase), str(phase))],
        file_dep=[str(path) for path in deps],
        targets=[str(path) for path in targets],
        task_dep=task_dep,
        uptodate=[SameDigest(saved, also)],
        subtask_of=cell_task(ctx.run, ctx.cell.name),
        doc=doc,
        io={"capture": False},
    )


def perform(ctx: CellContext, phase: Phase) -> None:
    """Run one phase and journal what came of it. Raises what the phase raises."""
    ctx.check_cancelled()
    why = RUNNERS[phase].reason(ctx)
    if why is not None:
        ctx.emit(Kind.PHASE_STARTED, phase=phase, why=why)
    begun = time.monotonic()
    try:
        result: Result = RUNNERS[phase].run(ctx)
    except Exception as error:
        seconds = round(time.monotonic() - begun, 3)
        stopped = isinstance(error, Interrupted)
        known = isinstance(error, OrchestrError)
        text = str(error) if known else f"{type(error).__name__}: {error}"
        hint = error.hint if isinstance(error, OrchestrError) else "orchestr doctor"
        if not known:
            _keep_traceback(ctx, error)
        ctx.emit(Kind.PHASE_FAILED, phase=phase, reason=text, hint=hint, seconds=seconds,
                 aborted=stopped)  # fmt: skip
        raise
    seconds = round(time.monotonic() - begun, 3)
    if result.made or why is not None:
        data = {k: v for k, v in result.data.items() if k != "attempt"}
        ctx.run.emit(Kind.PHASE_DONE, cell=ctx.cell.name, phase=phase, seconds=seconds,
                     attempt=result.data.get("attempt", 0), made=result.made, **data)  # fmt: skip


def _keep_traceback(ctx: CellContext, error: Exception) -> None:
    """A fault of ours: the traceback goes to a file of the cell, the message names it."""
    import traceback

    log = ctx.dir / "fault.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    error.add_note(f"see {log}")


def link(run: Run, links: Path, cells: Collection[str]) -> None:
    """Bring the bodies of the feature's pull requests up to date with each other."""
    from orchestr.files import write_toml

    urls = {name: publish.link(run.cell(name)) or "none" for name in cells}
    write_toml(links, {"schema": 1, "links": urls})


def repo_tasks(run: Run) -> list[Task]:
    """`repo:NAME` for every repository of the feature that is cloned or created on demand."""
    tasks = []
    for name in sorted({cell.repo for cell in run.feature.cells}):
        maker = RepoMaker(run.settings, name)
        if maker.needed:
            tasks.append(
                Task(
                    f"repo:{name}",
                    [Step(maker.make, f"make repository {name}")],
                    targets=[str(maker.target)],
                    uptodate=[SameDigest("repo")],
                    doc=f"{'clone' if maker.settings.url else 'create'} {maker.path}",
                    io={"capture": False},
                )
            )
    return tasks
