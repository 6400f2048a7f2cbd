"""Our doit reporter: writes the database through, and says which cells are blocked by what.

doit calls it from its main thread. What people see comes from the events of the phases; this
adds only what doit alone knows.
"""

from __future__ import annotations

from typing import Any

from doit.exceptions import BaseFail, UnmetDependency
from doit.globals import Globals
from doit.task import Task

from orchestr.cell.context import FeatureRun
from orchestr.spec.goal_names import FEATURE_PREFIX, REPO_PREFIX
from orchestr.spec.records import AUDIT
from orchestr.state.events import EventKind
from orchestr.tasks.generate import AmendmentPending, ApprovalPending
from orchestr.views.terminal.output import print_stderr


class Reporter:
    """Feeds `cell.blocked` events and collects failures; see the module."""

    desc = "orchestr"

    def __init__(self, runs: dict[str, FeatureRun]) -> None:
        self.runs = runs
        self.blocked: dict[tuple[str, str], str] = {}
        self.waiting: dict[tuple[str, str], str] = {}  # cells at a gate, and those behind them
        self.amending: set[tuple[str, str]] = set()  # cells blocked on a contract
        self.failed: list[str] = []
        self.others: list[str] = []

    def initialize(self, tasks: Any, selected: Any) -> None:
        """doit is about to start."""

    def get_status(self, task: Task) -> None:
        """doit looks whether a task is up to date."""

    def execute_task(self, task: Task) -> None:
        """A task of the dodo's own is named; a phase has events of its own."""
        if not task.name.startswith((FEATURE_PREFIX, REPO_PREFIX)) and task.actions:
            print_stderr(f".  {task.name}")

    def add_success(self, task: Task) -> None:
        _flush_database()

    def skip_uptodate(self, task: Task) -> None:
        """Nothing to say: silence is the answer of a build tool."""

    def skip_ignore(self, task: Task) -> None:
        """Ignored by doit itself; ours stand still instead."""

    def add_failure(self, task: Task, fail: BaseFail) -> None:
        """A phase failed (its event is out already), or could not start."""
        _flush_database()
        name = task.name
        if self._waits_for_repair(name, fail):
            return
        if not name.startswith(FEATURE_PREFIX):
            self.others.append(name)
            print_stderr(f"error: {name}: {fail.message}")
            return
        feature, _, rest = name.removeprefix(FEATURE_PREFIX).partition(":")
        cell, _, phase = rest.partition(":")
        if not phase:
            is_step = not cell or self._is_audit(feature, cell)
            if is_step and not isinstance(fail, UnmetDependency):
                self.failed.append(name)
                print_stderr(f"error: {name}: {fail.message}")
                hint = getattr(fail, "hint", None)
                if hint:
                    print_stderr(f"  hint: {hint}")
            return
        if isinstance(fail, AmendmentPending):
            self.amending.add((feature, cell))
        elif isinstance(fail, ApprovalPending):
            self.failed.append(name)
            self.waiting.setdefault((feature, cell), cell)
        elif isinstance(fail, UnmetDependency):
            self._block_cell(feature, cell, fail.message.split())
        else:
            self.failed.append(name)
            if not fail.message.startswith("ERROR: Task"):
                return
            missing = [d for d in task.file_dep if f"'{d}'" in fail.message]
            self._block_on_files(feature, cell, missing or sorted(task.file_dep))

    def _is_audit(self, feature: str, step: str) -> bool:
        run = self.runs.get(feature)
        return step == AUDIT and run is not None and run.feature.has_audit

    def _waits_for_repair(self, name: str, fail: BaseFail) -> bool:
        """Whether it is an audit that has sent work back, or waits for such a one: it has its turn
        after the repair."""
        back = {
            f"{FEATURE_PREFIX}{run.feature.name}" for run in self.runs.values() if run.sent_back
        }
        audits = {f"{group}:{AUDIT}" for group in back}
        if name in audits:
            return True
        waits = name in back or bool((back | audits) & set(fail.message.split()))
        return isinstance(fail, UnmetDependency) and waits

    def _block_cell(self, feature: str, cell: str, culprits: list[str]) -> None:
        """Name the upstream cell, once per cell; own earlier phases need no words."""
        for culprit in sorted(culprits, key=lambda name: self._waits_for_person(feature, name)):
            if culprit.startswith(REPO_PREFIX):
                self._emit_blocked(feature, cell, culprit, f"{culprit} failed")
                return
            other = culprit.removeprefix(FEATURE_PREFIX).split(":")
            if len(other) > 1 and other[1] != cell:
                self._emit_blocked(feature, cell, other[1], f"upstream {other[1]} has no result")
                return

    def _block_on_files(self, feature: str, cell: str, files: list[str]) -> None:
        for path in files:
            upstream = path.rsplit("/", 2)[-2]
            self._emit_blocked(feature, cell, upstream, f"upstream {upstream} has no result yet")
            return

    def _emit_blocked(self, feature: str, cell: str, upstream: str, reason: str) -> None:
        if (feature, cell) in self.blocked or feature not in self.runs:
            return
        asks = self.waiting.get((feature, upstream))
        if asks is not None:
            reason = f"waits for the approval of upstream {asks}"
            self.waiting[feature, cell] = asks
        self.blocked[feature, cell] = reason
        waits: dict[str, Any] = {}
        if asks is not None:
            waits = {"state": "approval", "hint": f"orchestr approve {feature}:{asks}"}
        self.runs[feature].emit(
            EventKind.CELL_BLOCKED, cell=cell, upstream=upstream, reason=reason, **waits
        )

    def _waits_for_person(self, feature: str, culprit: str) -> bool:
        """Whether it only waits for a person: what failed is named before it."""
        _, _, rest = culprit.removeprefix(FEATURE_PREFIX).partition(":")
        return (feature, rest.partition(":")[0]) in self.waiting

    def stuck_cells(self, feature: str) -> set[str]:
        """The cells of a feature that failed, or wait for a person."""
        failed = (name.removeprefix(FEATURE_PREFIX).split(":") for name in self.failed)
        return {parts[1] for parts in failed if parts[0] == feature and len(parts) > 1}

    def cleanup_error(self, exception: BaseFail) -> None:
        print_stderr(f"error: {exception.message}")

    def runtime_error(self, msg: str) -> None:
        print_stderr(f"error: {msg}")

    def teardown_task(self, task: Task) -> None:
        """We use no teardown (doit issue 134)."""

    def complete_run(self) -> None:
        """The summary is printed by the command."""


def _flush_database() -> None:
    """Commit the rows so far: a kill after this loses nothing of them."""
    flush = getattr(getattr(Globals.dep_manager, "backend", None), "flush", None)
    if flush is not None:
        flush()
