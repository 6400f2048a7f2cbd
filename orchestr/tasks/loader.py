"""The loader that gives doit our tasks, beside those of the workspace's own `dodo.py`."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from doit.cmd_base import TaskLoader2
from doit.loader import load_tasks as doit_load_tasks
from doit.task import Task

from orchestr.cell.context import Run
from orchestr.state.layout import Layout
from orchestr.tasks.generate import Selection, generate, repo_tasks

# 10,000 tasks are a million objects that stay: looking through them at every 700th new one took
# a third of a run with nothing to do.
COLLECT = (100_000, 20, 20)


PREFIX = "feature:"


class Loader(TaskLoader2):  # type: ignore[misc]
    """Loads the features' tasks, and beside them what else a dodo defines."""

    def __init__(self, session: Any, namespace: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.session = session
        self.namespace = namespace or {}
        self.features: Sequence[str] | None = None  # None: all
        self.selections: dict[str, Selection] = {}

    def setup(self, opt_values: Any) -> None:
        """Nothing is left to set up."""

    def load_doit_config(self) -> dict[str, Any]:
        return doit_config(self.session.layout)

    def load_tasks(self, cmd: Any, pos_args: Any) -> list[Task]:
        """Our tasks, then the dodo's own."""
        tasks: dict[str, Task] = {}
        names = self.session.specs.features if self.features is None else self.features
        named = [goal.split(":")[1] for goal in self.goals_below(self.own)]
        known = [name for name in named if name in self.session.specs.features]
        for name in dict.fromkeys([*names, *known]):
            run = self.session.run(name)
            for task in repo_tasks(run):
                tasks.setdefault(task.name, task)
            for task in generate(run, self.selections.get(name, still(run))):
                tasks[task.name] = task
        for task in self.other_tasks():
            tasks.setdefault(task.name, task)
        return list(tasks.values())

    def other_tasks(self) -> list[Task]:
        """What a dodo of ours defines besides the features; made anew, as doit changes tasks."""
        own = {
            k: v for k, v in self.namespace.items() if getattr(v, "__module__", "") != OURS_MODULE
        }
        return list(doit_load_tasks(own, self.cmd_names)) if own else []

    @cached_property
    def own(self) -> dict[str, Task]:
        """The dodo's own tasks by name, to look at."""
        return {task.name: task for task in self.other_tasks()}

    def split(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        """Words that are ours, and those that name the dodo's own tasks or repositories.

        After a task that takes words or options of its own, everything is the task's.
        """
        ours: list[str] = []
        theirs: list[str] = []
        for index, word in enumerate(words):
            if takes_words(self.own.get(word)):
                theirs += words[index:]
                break
            (theirs if self._is_theirs(word) else ours).append(word)
        return ours, theirs

    def _is_theirs(self, word: str) -> bool:
        if word.startswith((PREFIX, "repo:")):
            return word.startswith("repo:")
        if "*" in word:
            return any(fnmatch.fnmatchcase(name, word) for name in self.own)
        if word in self.own or word.split(":", maxsplit=1)[0] in self.own:
            return True
        return any(word in task.targets for task in self.own.values())

    def goals_below(self, names: Iterable[str]) -> list[str]:
        """The tasks of features that own tasks wait for, directly or through each other."""
        found: dict[str, None] = {}
        seen: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            task = self.own.get(name)
            if name.startswith(PREFIX):
                found[name] = None
            elif "*" in name:
                todo += [own for own in self.own if fnmatch.fnmatchcase(own, name)]
            elif task is not None and name not in seen:
                seen.add(name)
                todo += [*task.task_dep, *task.wild_dep, *task.setup_tasks]
        return list(found)


OURS_MODULE = "orchestr.dodo"


def takes_words(task: Task | None) -> bool:
    """Whether a task of the dodo's own reads what follows its name on the command line."""
    return task is not None and bool(task.pos_arg or task.params)


def still(run: Run) -> Selection:
    """The selection of everything but the ignored cells."""
    return Selection(frozenset(ignored(run)))


def ignored(run: Run) -> set[str]:
    """The cells that `ignore` named and nobody un-ignored, by the journal."""
    names = (plan.name for plan in run.plan.cells)
    return {name for name in names if run.past.cell(name).ignored}


def doit_config(layout: Layout) -> dict[str, Any]:
    """What doit is told in every workspace; bare `doit` builds nothing."""
    return {
        "default_tasks": [],
        "backend": "orchestr",
        "dep_file": str(layout.database),
        "verbosity": 2,
    }
