"""What every verb starts from: the workspace, its specs, targets, and our task loader.

The verbs are doit commands. Under `orchestr` the tasks come from `specs/`; under plain `doit`
the dodo's own tasks stand beside them. In a dodo that is not ours all of this is inert
(`orchestr.tasks.plain_doit`).
"""

from __future__ import annotations

import difflib
import fnmatch
import gc
import os
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from doit.cmd_base import TaskLoader2
from doit.loader import load_tasks as doit_load_tasks
from doit.task import Task

from orchestr.cell.context import CellContext, Overrides, Run
from orchestr.errors import Exit, OrchestrError, SpecError, UsageError, full_disk
from orchestr.plan.dag import make_plan
from orchestr.settings.loader import Settings, find_workspace, load_settings
from orchestr.spec.reader import SpecSet, read_all
from orchestr.spec.records import Feature, Phase
from orchestr.state.events import Event
from orchestr.state.journal import Journal, Layout
from orchestr.state.replay import durations, replay
from orchestr.tasks.generate import Selection, generate, repo_tasks
from orchestr.tasks.plain_doit import REPLACED, run_stock, stock_command
from orchestr.views.terminal.output import report_error, report_fault, silence_stdout

# 10,000 tasks are a million objects that stay: looking through them at every 700th new one took
# a third of a run with nothing to do.
COLLECT = (100_000, 20, 20)
PREFIX = "feature:"


@dataclass(frozen=True, slots=True)
class Target:
    """`[feature:]FEATURE[:CELL[:PHASE]]`, checked against the specs."""

    feature: str
    cell: str | None = None
    phase: Phase | None = None

    def __str__(self) -> str:
        return ":".join(p for p in (self.feature, self.cell, self.phase) if p)

    @property
    def task(self) -> str:
        return PREFIX + str(self)


class Session:
    """One command of a user in one workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings: Settings = load_settings(root, os.environ)
        self.layout = Layout.of(self.settings)
        self._runs: dict[str, Run] = {}

    @classmethod
    def here(cls) -> Session:
        """The workspace around the current folder. Raises UsageError, SpecError."""
        return cls(find_workspace(Path.cwd()))

    @cached_property
    def specs(self) -> SpecSet:
        """All specs, read once; broken ones are in `.problems`."""
        return read_all(self.settings)

    def feature(self, name: str) -> Feature:
        """A feature by name. Raises SpecError when its spec is broken, UsageError when unknown."""
        found = self.specs.features.get(name)
        if found is not None:
            return found
        if self.specs.problems and not self.specs.features:
            raise SpecError(self.specs.problems)
        mine = [p for p in self.specs.problems if Path(p.file).stem == name]
        if mine:
            raise SpecError(mine)
        raise UsageError(
            f"there is no feature {name!r} in {self.settings.workspace.specs}",
            hint=nearest(name, self.specs.features) or "orchestr list",
        )

    def target(self, word: str) -> Target:
        """Read a target. Raises UsageError with the nearest name."""
        parts = word.removeprefix(PREFIX).split(":")
        feature = self.feature(parts[0])
        if len(parts) > 3:
            raise UsageError(f"{word!r} has too many parts", hint="FEATURE[:CELL[:PHASE]]")
        if len(parts) == 1:
            return Target(feature.name)
        names = [cell.name for cell in feature.cells]
        if parts[1] not in names:
            raise UsageError(
                f"feature {feature.name} has no cell {parts[1]!r}",
                hint=nearest(parts[1], names) or f"cells: {', '.join(names)}",
            )
        if len(parts) == 2:
            return Target(feature.name, parts[1])
        if parts[2] not in list(Phase):
            raise UsageError(f"there is no phase {parts[2]!r}", hint=f"phases: {', '.join(Phase)}")
        if parts[2] not in feature.cell(parts[1]).steps:
            raise UsageError(
                f"cell {feature.name}:{parts[1]} has no phase {parts[2]!r}",
                hint="give it `approve: plan` in the spec",
            )
        return Target(feature.name, parts[1], Phase(parts[2]))

    def targets(self, words: Sequence[str]) -> list[Target]:
        """Every target; `*` at the end of a name matches as in the shell."""
        found: list[Target] = []
        for word in words:
            found += self._glob(word) if "*" in word else [self.target(word)]
        return list(dict.fromkeys(found))

    def _glob(self, word: str) -> list[Target]:
        pattern = word.removeprefix(PREFIX)
        every = [
            target
            for feature in self.specs.features.values()
            for cell in feature.cells
            for target in (
                Target(feature.name),
                Target(feature.name, cell.name),
                *(Target(feature.name, cell.name, phase) for phase in cell.steps),
            )
        ]
        found = [t for t in every if fnmatch.fnmatchcase(str(t), pattern)]
        level = pattern.count(":")
        found = [t for t in found if str(t).count(":") == level]
        if not found:
            raise UsageError(f"nothing matches {word!r}", hint="orchestr list --all")
        return list(dict.fromkeys(found))

    def journal(self, feature: str, run: str = "") -> Journal:
        return Journal(self.layout.journal(feature), run=run)

    def events(self, feature: str) -> list[Event]:
        """Every event of a feature so far."""
        return list(self.journal(feature).read())

    def run(self, feature: str, *, overrides: Overrides | None = None) -> Run:
        """The run record of a feature, made once; nothing is started by it."""
        if feature not in self._runs:
            record = self.feature(feature)
            size = self.journal(feature).size()
            events = self.events(feature)
            run = Run(
                self.settings,
                self.layout,
                record,
                make_plan(record, durations(events)),
                self.journal(feature),
                overrides=overrides or Overrides(),
            )
            run.past, run.past_size = replay(events), size
            self._runs[feature] = run
        return self._runs[feature]

    def cells(self, targets: Iterable[Target]) -> list[CellContext]:
        """The cells that targets name, a feature standing for all of its own."""
        found: dict[str, CellContext] = {}
        for target in targets:
            run = self.run(target.feature)
            for plan in run.plan.cells:
                if target.cell in (None, plan.name):
                    found[f"{target.feature}:{plan.name}"] = run.cell(plan.name)
        return list(found.values())

    def cell(self, word: str) -> CellContext:
        """Exactly one cell. Raises UsageError when a target names a whole feature."""
        target = self.target(word)
        if target.cell is None:
            names = ", ".join(c.name for c in self.feature(target.feature).cells)
            raise UsageError(f"{word!r} is a feature; name one of its cells", hint=names)
        return self.run(target.feature).cell(target.cell)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """`did you mean ...?`, or None."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else None


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


class Verb:
    """Mixin of all our commands: errors become text and exit codes, options go anywhere."""

    own_tasks_take_words = False

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.given = given  # what doit made us with, to make its own command of it

    def help(self) -> str:
        """Ours, with examples; under plain doit its own for the verbs that it has, too."""
        command: Any = self
        if command.bin_name != "orchestr":
            stock = stock_command(self, [])
            if stock is not None:
                return str(stock[0].help())
            if command.get_name() in REPLACED:  # with doit's options, which count there
                return str(super().help())  # type: ignore[misc]
        from orchestr.commands.base.help import help_text

        return help_text(command)

    def parse_execute(self, in_args: list[str]) -> int:
        """Parse, run, report. Options may follow the names (getopt stops at the first name)."""
        gc.set_threshold(*COLLECT)
        stock = stock_command(self, in_args)
        if stock is not None:
            theirs, words = stock
            try:
                return run_stock(theirs, words, self.get_name())  # type: ignore[attr-defined]
            finally:
                self.pdb = theirs.pdb  # doit looks at it after an error
        try:
            stops = attach(self).own if self.own_tasks_take_words else {}
            words = reordered(self, in_args, [name for name in stops if takes_words(stops[name])])
            code = super().parse_execute(words)  # type: ignore[misc]
            sys.stdout.flush()
            return int(code or 0)
        except OrchestrError as error:
            return report_error(error)
        except BrokenPipeError:
            silence_stdout()
            return int(Exit.DONE)
        except KeyboardInterrupt:
            return int(Exit.INTERRUPTED)
        except Exception as error:
            from doit.cmdparse import CmdParseError
            from doit.exceptions import InvalidCommand, InvalidDodoFile, InvalidTask

            if isinstance(error, CmdParseError):
                return report_error(bad_option(self, error))
            full = full_disk(error)
            if full is not None:
                return report_error(full)
            if isinstance(error, (InvalidCommand, InvalidDodoFile, InvalidTask)):
                raise
            return report_fault(error, Path.cwd() / ".orchestr" / "fault.log")


# doit names the Python class; the value stands last in the words of int() and float().
_UNREADABLE = re.compile(r"Error parsing parameter '(\w+)' <class '(int|float)'>\.\n.*: (.+)")


def bad_option(command: Any, error: Exception) -> UsageError:
    """What the option parser said, without the list of every option that there is."""
    words = str(error).removeprefix("Error parsing Command: ")
    words = words.partition(" (parsing options: ")[0]
    wrong = _UNREADABLE.match(words)
    if wrong is not None:
        name, kind, value = wrong.groups()
        wanted = "a whole number" if kind == "int" else "a number"
        words = f"--{name.replace('_', '-')} wants {wanted}, got {value}"
    return UsageError(words, hint=f"{command.bin_name} help {command.get_name()}")


def reordered(command: Any, words: Sequence[str], stops: Collection[str] = ()) -> list[str]:
    """The options of ``words`` first, then the names; `--` or a name in ``stops`` ends them."""
    parser = command.cmdparser
    takes = {True: set(), False: set()}  # type: dict[bool, set[str]]
    for option in parser.options:
        flags = [f"-{option.short}"] if option.short else []
        flags += [f"--{option.long}"] if option.long else []
        flags += [f"--{option.inverse}"] if option.inverse else []
        takes[option.type is not bool].update(flags)
    options: list[str] = []
    names: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            names += rest
        elif word in stops:
            names += [word, *rest]
        elif word.startswith("-") and word != "-":
            options.append(word)
            known = [flag for flag in takes[True] if flag.startswith(word)] if len(word) > 2 else []
            if word in takes[True] or (known and word not in takes[False] and "=" not in word):
                options += [value for value in [next(rest, None)] if value is not None]
        else:
            names.append(word)
    return [*options, "--", *names]


def attach(command: Any) -> Loader:
    """The loader of a verb, and its session; under plain doit it takes the dodo's place."""
    loader = command.loader
    if not isinstance(loader, Loader):
        ours = Loader(Session.here(), loader.namespace)
        ours.cmd_names, ours.config = loader.cmd_names, loader.config
        command.loader = ours
        return ours
    return loader
