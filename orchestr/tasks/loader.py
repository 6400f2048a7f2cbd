"""The loader that gives doit our tasks, beside those of the workspace's own `dodo.py`."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from doit.cmd_base import TaskLoader2
from doit.loader import load_tasks as doit_load_tasks
from doit.task import Task

from orchestr.cell.context import FeatureRun
from orchestr.spec.goal_names import FEATURE_PREFIX, OTHER_PREFIXES
from orchestr.state.layout import WorkspaceLayout
from orchestr.tasks.generate import CellSelection, make_feature_tasks, make_repo_tasks

if TYPE_CHECKING:
    from orchestr.draft.context import DraftWork
    from orchestr.settings.records import Settings
    from orchestr.spec.reader import SpecSet

# 10,000 tasks are a million objects that stay alive: collecting them at every 700th new one took
# a third of a no-op run.
COLLECT = (100_000, 20, 20)


class FeatureSource(Protocol):
    """What the loader needs of a command's session (`orchestr.run.workspace.Session`)."""

    @property
    def layout(self) -> WorkspaceLayout: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def specs(self) -> SpecSet: ...

    def load_run(self, feature: str) -> FeatureRun: ...


# The bound is a text: typing would keep the class for good, with it all that this module imports,
# and so doit's database in a dodo that is not ours, which `dbm.dumb` writes when it is garbage.
SessionT = TypeVar("SessionT", bound="FeatureSource")


class FeatureTaskLoader(TaskLoader2, Generic[SessionT]):  # type: ignore[misc]
    """Load the features' tasks, and the other tasks of a dodo.

    ``find_session`` is called when the session is first needed: `init` and `schema` run outside of
    a workspace.
    """

    def __init__(
        self, find_session: Callable[[], SessionT], namespace: dict[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.find_session = find_session
        self.namespace = namespace or {}
        self.features: Sequence[str] | None = None  # None: all
        self.selections: dict[str, CellSelection] = {}
        self.drafts: dict[str, DraftWork] = {}  # that a verb has begun

    @cached_property
    def session(self) -> SessionT:
        """The session of this command. Raises what ``find_session`` raises."""
        return self.find_session()

    def setup(self, opt_values: Any) -> None:
        """Nothing is left to set up."""

    def load_doit_config(self) -> dict[str, Any]:
        return doit_config(self.session.layout)

    def load_tasks(self, cmd: Any, pos_args: Any) -> list[Task]:
        """Our tasks, then the dodo's own."""
        tasks: dict[str, Task] = {}
        names = self.session.specs.features if self.features is None else self.features
        named = [goal.split(":")[1] for goal in self.required_feature_tasks(self.dodo_tasks)]
        known = [name for name in named if name in self.session.specs.features]
        for name in dict.fromkeys([*names, *known]):
            run = self.session.load_run(name)
            for task in make_repo_tasks(run):
                tasks.setdefault(task.name, task)
            for task in make_feature_tasks(run, self.selections.get(name, select_unignored(run))):
                tasks[task.name] = task
        if self.features is None or self.drafts:
            from orchestr.tasks.draft_tasks import make_draft_tasks

            for task in make_draft_tasks(self.session.settings, self.drafts):
                tasks.setdefault(task.name, task)
        for task in self.load_dodo_tasks():
            tasks.setdefault(task.name, task)
        return list(tasks.values())

    def load_dodo_tasks(self) -> list[Task]:
        """What a dodo of ours defines besides the features; made anew, as doit changes tasks."""
        own = {
            k: v for k, v in self.namespace.items() if getattr(v, "__module__", "") != OURS_MODULE
        }
        return list(doit_load_tasks(own, self.cmd_names)) if own else []

    @cached_property
    def dodo_tasks(self) -> dict[str, Task]:
        """The dodo's own tasks by name, to look at."""
        return {task.name: task for task in self.load_dodo_tasks()}

    def split_words(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        """Words that are ours, and those that name the dodo's own tasks or repositories.

        After a task that takes words or options of its own, everything is the task's.
        """
        ours: list[str] = []
        theirs: list[str] = []
        for index, word in enumerate(words):
            if accepts_arguments(self.dodo_tasks.get(word)):
                theirs += words[index:]
                break
            (theirs if self._names_other_task(word) else ours).append(word)
        return ours, theirs

    def _names_other_task(self, word: str) -> bool:
        if word.startswith((FEATURE_PREFIX, *OTHER_PREFIXES)):
            return word.startswith(OTHER_PREFIXES)
        if "*" in word:
            return any(fnmatch.fnmatchcase(name, word) for name in self.dodo_tasks)
        if word in self.dodo_tasks or word.split(":", maxsplit=1)[0] in self.dodo_tasks:
            return True
        return any(word in task.targets for task in self.dodo_tasks.values())

    def required_feature_tasks(self, names: Iterable[str]) -> list[str]:
        """The tasks of features that own tasks wait for, directly or through each other."""
        found: dict[str, None] = {}
        seen: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            task = self.dodo_tasks.get(name)
            if name.startswith(FEATURE_PREFIX):
                found[name] = None
            elif "*" in name:
                todo += [own for own in self.dodo_tasks if fnmatch.fnmatchcase(own, name)]
            elif task is not None and name not in seen:
                seen.add(name)
                todo += [*task.task_dep, *task.wild_dep, *task.setup_tasks]
        return list(found)


OURS_MODULE = "orchestr.dodo"


def accepts_arguments(task: Task | None) -> bool:
    """Whether a task of the dodo's own reads what follows its name on the command line."""
    return task is not None and bool(task.pos_arg or task.params)


def select_unignored(run: FeatureRun) -> CellSelection:
    """The selection of everything but the ignored cells."""
    return CellSelection(frozenset(ignored_cells(run)))


def ignored_cells(run: FeatureRun) -> set[str]:
    """The cells that are ignored, by the journal."""
    names = (plan.name for plan in run.plan.cells)
    return {name for name in names if run.past.cell(name).ignored}


def doit_config(layout: WorkspaceLayout) -> dict[str, Any]:
    """doit's configuration in every workspace; bare `doit` builds nothing."""
    return {
        "default_tasks": [],
        "backend": "orchestr",
        "dep_file": str(layout.database_file),
        "verbosity": 2,
    }
