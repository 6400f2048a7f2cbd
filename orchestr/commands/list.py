"""`list [--all]`: features, their cells and phases, in words."""

from __future__ import annotations

import sys
from typing import Any

from doit.cmd_list import List as DoitList

from orchestr.commands.base.verb import Verb, attach_loader
from orchestr.files import cache_record_reads
from orchestr.plan.dag import CellForecast, ForecastOutcome
from orchestr.run.workspace import Session
from orchestr.spec.goal_names import FEATURE_PREFIX, OTHER_PREFIXES, REPO_PREFIX
from orchestr.tasks.loader import ignored_cells, select_unignored
from orchestr.tasks.stale import forecast_selection
from orchestr.views.terminal.output import print_stderr


class List(Verb, DoitList):  # type: ignore[misc]
    """doit's `list`, with all levels below a name and in plan order."""

    purpose = "list features; --all: their cells and phases too"
    usage = "[FEATURE[:CELL]] ..."
    help_group = "view"
    only_reads = True
    examples = (
        ("list", "the features"),
        ("list --all mlkem", "all below one of them"),
    )

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._forecasts: dict[str, tuple[set[str], dict[str, CellForecast]]] = {}

    def execute(self, params: Any, args: list[str]) -> int:
        """Print what there is. Broken specs are named on stderr and stop nothing."""
        session: Session = attach_loader(self).session
        for problem in session.specs.problems:
            print_stderr(str(problem))
        others = self.loader.dodo_tasks
        names = [
            word
            if word in others or word.startswith(OTHER_PREFIXES)
            else session.parse_target(word).task_name
            for word in args
        ]
        if "sort" not in params._non_default_keys:
            params["sort"] = "definition"
        self.outstream = sys.stdout
        return int(super().execute(params, names) or 0)

    @staticmethod
    def _list_filtered(tasks: Any, filter_tasks: Any, include_subtasks: bool) -> list[Any]:
        """A named task, and with `--all` or for a group everything below it."""
        found = []
        for name in filter_tasks:
            below = name + ":"
            found += [t for t in tasks.values() if t.name == name]
            depth = 1 if not include_subtasks else 9
            found += [
                t
                for t in tasks.values()
                if t.name.startswith(below) and t.name.removeprefix(below).count(":") < depth
            ]
        return found

    def _list_all(self, include_subtasks: bool) -> list[Any]:
        """The features, then a dodo's own tasks; repositories with `--all` only, last."""
        found = list(super()._list_all(include_subtasks))
        repos = [task for task in found if task.name.startswith(REPO_PREFIX)]
        rest = [task for task in found if task not in repos]
        return [*rest, *repos] if include_subtasks else rest

    def _feature_task_letter(self, name: str) -> str:
        """What the next run does with a feature, cell or phase, as `plan` says it.

        doit's own answer knows files only: a phase says itself why it would run, and a group has no
        files. A cell behind one that runs may still come out as it is; it is an R, too.
        """
        feature, _, rest = name.removeprefix(FEATURE_PREFIX).partition(":")
        cell, _, phase = rest.partition(":")
        if feature not in self._forecasts:
            run = self.loader.session.load_run(feature)
            ignored = ignored_cells(run)
            with cache_record_reads():
                forecasts = forecast_selection(run, select_unignored(run))
            self._forecasts[feature] = (ignored, {found.name: found for found in forecasts})
        ignored, cells = self._forecasts[feature]
        if cell in ignored:
            return "I"
        chosen = [cells[cell]] if cell else [c for n, c in cells.items() if n not in ignored]
        runs = [found for found in chosen if found.would is not ForecastOutcome.UP_TO_DATE]
        if phase:
            runs = [f for f in runs if phase in f.phases or not f.phases]
        return "R" if runs else "U"

    def _print_task(
        self, template: str, task: Any, status: Any, list_deps: Any, tasks: Any
    ) -> None:
        """Indent by level so that the tree can be seen."""
        level = task.name.count(":") - 1 if task.name.startswith(FEATURE_PREFIX) else 0
        shown = "  " * level + task.name
        if "{doc}" in template or template.startswith("{name:<"):
            width = max(len(t.name) + 2 * max(0, t.name.count(":") - 1) for t in self.task_list)
            template = f"{{name:<{width + 2}}}" + ("{doc}" if "{doc}" in template else "")
            template = ("{status} " if status else "") + template
        data = {"name": shown, "doc": task.doc or ""}
        if status:
            if task.name.startswith(FEATURE_PREFIX):
                data["status"] = self._feature_task_letter(task.name)
            elif self.dep_manager.status_is_ignore(task):
                data["status"] = "I"
            else:
                data["status"] = self.STATUS_MAP[self.dep_manager.get_status(task, tasks).status]
        self.outstream.write(template.rstrip("\n").format(**data).rstrip() + "\n")
        if list_deps:
            for dep in sorted(task.file_dep):
                self.outstream.write(f" -  {dep}\n")
            self.outstream.write("\n")
