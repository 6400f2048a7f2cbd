"""The slow work of a landing, in threads: checks on benches, and repairs by agents."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.check_worktree import marker_of, show
from orchestr.errors import Interrupted, NeedsApproval, OrchestrError, no_room
from orchestr.git.repo import CommitId
from orchestr.landing.changes import paths_of
from orchestr.landing.checks import CheckResult, Order
from orchestr.landing.decide import content
from orchestr.landing.events import (
    CheckCandidate,
    Checked,
    Event,
    Parked,
    Repair,
    Repaired,
    RepairStarted,
    Spec,
    Trouble,
)
from orchestr.landing.repair import can_repair, mend
from orchestr.process.tree import kill_marked

if TYPE_CHECKING:
    from orchestr.landing.land import Lander


def end_left(lander: Lander) -> None:
    """End the checks that a killed landing left at work; only one lands in a workspace."""
    for name in lander.ways:
        home = lander.runs[0].layout.state / "landing" / name
        for path in home.glob("[0-9]*"):
            if path.name.isdecimal():
                kill_marked(marker_of(path))


def check(lander: Lander, action: CheckCandidate) -> Event:
    """The verdict on a candidate. Raises Interrupted when it was let go."""
    spec = action.spec
    tree = lander.tree_of(action)[1]
    result = judge(lander, spec, action.commit, tree, lander.flying[action])
    return Checked(spec, action.commit, result.green, result.detail)


def judge(lander: Lander, spec: Spec, commit: str, tree: str, stop: threading.Event) -> CheckResult:
    """Check a commit in a warm worktree that shows it. Raises Interrupted."""
    name, changes_in = spec.lane.repo, tuple(lander.queue.items[key].change for key in spec.keys)
    number = _take_bench(lander, name)
    try:
        path = lander.runs[0].layout.state / "landing" / name / str(number)
        show(_any_cell(lander, name), path, CommitId(commit))
        assert lander.check is not None
        return lander.check(Order(name, path, commit, tree, changes_in,
                                content(lander.queue, spec), stop, lander.warn))  # fmt: skip
    except Interrupted:
        raise
    except OrchestrError as error:
        if full := no_room(error):
            raise full from error  # no verdict on the change, and nothing for its agent to mend
        return CheckResult(
            False, f"{error.message} ({error.hint})" if error.hint else error.message
        )
    finally:
        lander.benches[name].discard(number)


def _any_cell(lander: Lander, name: str) -> CellContext:
    """Some cell of a repository, for its settings."""
    return next(
        run.cell(cell.name) for run in lander.runs for cell in run.feature.cells
        if cell.repo == name
    )  # fmt: skip


def unchecked(lander: Lander, spec: Spec, commit: str) -> None:
    """What the forge made has another tree than what was checked: say it, and check it now."""
    where = f"{spec.lane.target} of {spec.lane.repo}"
    lander.warn(f"{where} moved while the forge merged; {commit[:12]} was not checked before")
    tree = lander.repo(spec.lane.repo).tree(CommitId(commit))
    result = judge(lander, spec, commit, tree, lander.runs[0].stop)
    if not result.green:
        lander.red.append(f"{where} is RED at {commit[:12]}: {result.detail}")


def _take_bench(lander: Lander, name: str) -> int:
    with lander.mutex:
        taken = lander.benches.setdefault(name, set())
        number = next(n for n in range(1, len(taken) + 2) if n not in taken)
        taken.add(number)
    return number


def repair(lander: Lander, action: Repair) -> Event:
    """Let the change's own agent mend it; one that fails is asked again, within the bound (row
    E43). Raises Interrupted.
    """
    change = lander.queue.items[action.key].change
    ctx, lane = lander.ctx(action.key), change.lane
    why = can_repair(ctx)
    if why is not None:
        return Parked(action.key, action.trouble, with_reason(action, why))
    try:
        head = mend(ctx, action.trouble, action.number, action.detail, head=change.head,
                    target=lane.target, tip=lander.queue.tips[lane])  # fmt: skip
    except Interrupted:
        raise
    except NeedsApproval as error:  # mended, and a person has to say yes to it
        said = error.message.removeprefix(f"cell {ctx.name}: ")
        return Parked(action.key, Trouble.APPROVAL, f"its agent mended it; it {said}")
    except OrchestrError as error:
        if full := no_room(error):
            raise full from error
        if action.number < lander.rules.repairs:
            return RepairStarted(action.key, action.trouble, action.number + 1, action.detail)
        why = error.message.removeprefix(f"cell {ctx.name}: ")
        return Parked(action.key, action.trouble, with_reason(action, f"not repaired: {why}"))
    if head == change.head:
        why = "its agent changed nothing"
        return Parked(action.key, action.trouble, with_reason(action, why))
    return Repaired(action.key, head, paths_of(ctx, head))


def with_reason(action: Repair, why: str) -> str:
    """What is wrong and why it stays so in the first line, then the evidence."""
    first, _, rest = action.detail.partition("\n")
    conflict = "conflict in " if action.trouble is Trouble.CONFLICT else ""
    return f"{conflict}{first}; {why}\n{rest}".rstrip()
