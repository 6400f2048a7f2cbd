"""What every verb is built from: `Verb`, a mixin, and `PlainVerb` for those that doit has not."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from doit.cmd_base import Command

from orchestr.commands.base.inside_attempt import refuse_inside_attempt
from orchestr.errors import ExitCode, OrchestrError, UsageError, explain_os_error
from orchestr.process.hiding import hide_this_process
from orchestr.registry import remember_program_name, substitute_program_name
from orchestr.run.workspace import Session
from orchestr.tasks.loader import COLLECT, FeatureTaskLoader, accepts_arguments
from orchestr.tasks.plain_doit import REPLACED, find_stock_command, run_stock_command
from orchestr.views.terminal.door import guard_streams
from orchestr.views.terminal.output import report_error, report_fault, silence_stdout


class Verb:
    """Mixin of all our commands: errors become text and exit codes, options go anywhere.

    A verb's file is its whole declaration: `doc_purpose` and `doc_usage` (the words of the help),
    `help_group` (its section in `orchestr help`, see `help.GROUPS`), `examples` (what is typed
    after `orchestr`, what it does) and `cmd_options`. A verb that doit has, too, says `purpose`
    and `usage` instead: doit's own listing and completion read the other two, also in projects
    whose dodo is not ours.
    """

    help_group: str = "other"
    examples: Sequence[tuple[str, str]] = ()
    purpose: str = ""
    usage: str = ""
    own_tasks_take_words = False
    only_reads = False  # such a verb may be called inside an attempt, too
    # Options of doit that mean nothing to a feature -> what does it instead.
    refused_options: ClassVar[Mapping[str, str]] = {}

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.given = given  # what doit made us with, to make its own command of it

    def help(self) -> str:
        """Ours, with examples; under plain doit its own for the verbs that it has, too."""
        command: Any = self
        if command.bin_name != "orchestr":
            stock = find_stock_command(self, [])
            if stock is not None:
                return str(stock[0].help())
            if command.get_name() in REPLACED:  # with doit's options, which count there
                return str(super().help())  # type: ignore[misc]
        from orchestr.commands.base.help import help_text

        if command.bin_name != "orchestr":
            remember_program_name(sys.argv[0])
        return substitute_program_name(help_text(command))

    def parse_execute(self, in_args: list[str]) -> int:
        """Parse, run, report. Options may follow the names (getopt stops at the first name)."""
        gc.set_threshold(*COLLECT)
        hide_this_process()  # the user's tokens are in our environment
        if self.bin_name != "orchestr":  # type: ignore[attr-defined]
            remember_program_name(sys.argv[0])
        stock = find_stock_command(self, in_args)
        if stock is not None:
            theirs, words = stock
            try:
                return run_stock_command(theirs, words, self.get_name())  # type: ignore[attr-defined]
            finally:
                self.pdb = theirs.pdb  # doit looks at it after an error
        with guard_streams():  # plain doit does not do it before
            return self._execute_reported(in_args)

    def _execute_reported(self, in_args: list[str]) -> int:
        """Run; what goes wrong becomes text and an exit code."""
        try:
            if not self.reads_only(in_args):
                refuse_inside_attempt(f"orchestr {self.get_name()}", in_args)  # type: ignore[attr-defined]
            stops = attach_loader(self).dodo_tasks if self.own_tasks_take_words else {}
            words = move_options_first(
                self, in_args, [name for name in stops if accepts_arguments(stops[name])]
            )
            code = super().parse_execute(words)  # type: ignore[misc]
            sys.stdout.flush()
            return int(code or 0)
        except OrchestrError as error:
            return report_error(error)
        except BrokenPipeError:
            silence_stdout()
            return int(ExitCode.DONE)
        except KeyboardInterrupt:
            return int(ExitCode.INTERRUPTED)
        except Exception as error:
            from doit.cmdparse import CmdParseError
            from doit.exceptions import InvalidCommand, InvalidDodoFile, InvalidTask

            if isinstance(error, CmdParseError):
                return report_error(option_error(self, error))
            known = explain_os_error(error)
            if known is not None:
                return report_error(known)
            if isinstance(error, (InvalidCommand, InvalidDodoFile, InvalidTask)):
                raise
            return report_fault(error, Path.cwd() / ".orchestr" / "fault.log")

    def reads_only(self, words: Sequence[str]) -> bool:
        """Whether the verb, with these words, changes nothing of the workspace."""
        del words
        return self.only_reads

    def refuse_options(self, params: Any) -> None:
        """Refuse options that doit would honour and a feature cannot. Raises UsageError."""
        typed: Collection[str] = getattr(params, "_non_default_keys", ())
        for option in self.cmdparser.options:  # type: ignore[attr-defined]
            if option.name not in typed or option.name not in self.refused_options:
                continue
            if option.type is bool and not params[option.name]:
                flag = f"--{option.inverse}"
            else:
                flag = f"--{option.long}"
            hint = self.refused_options[option.name]
            if (option.name, flag) not in ALLOWED:
                raise UsageError(f"{flag} has no effect on a feature", hint=hint)


ALLOWED = {("continue", "--continue")}  # what is done anyway


class PlainVerb(Verb, Command):  # type: ignore[misc]
    """A command that reads a workspace and needs no tasks. Subclasses define `run_verb`."""

    needs_workspace = True

    def __init__(self, *, task_loader: Any = None, cmds: Any = None, **given: Any) -> None:
        super().__init__(**given)
        self.loader = task_loader
        self.given = {**given, "task_loader": task_loader, "cmds": cmds}

    def execute(self, opt_values: Any, pos_args: list[str]) -> int:
        """Find the workspace and act."""
        session = Session.from_cwd() if self.needs_workspace else None
        return self.run_verb(session, opt_values, pos_args)  # type: ignore[arg-type]

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """The verb itself; returns the exit code."""
        raise NotImplementedError


# doit names the Python class; the value stands last in the words of int() and float().
_UNREADABLE = re.compile(r"Error parsing parameter '(\w+)' <class '(int|float)'>\.\n.*: (.+)")


def option_error(command: Any, error: Exception) -> UsageError:
    """What the option parser said, without the list of every option that there is."""
    words = str(error).removeprefix("Error parsing Command: ")
    words = words.partition(" (parsing options: ")[0]
    wrong = _UNREADABLE.match(words)
    if wrong is not None:
        name, kind, value = wrong.groups()
        wanted = "a whole number" if kind == "int" else "a number"
        words = f"--{name.replace('_', '-')} wants {wanted}, got {value}"
    return UsageError(words, hint=f"{command.bin_name} help {command.get_name()}")


def move_options_first(
    command: Any, words: Sequence[str], stops: Collection[str] = ()
) -> list[str]:
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


def attach_loader(command: Any) -> FeatureTaskLoader[Session]:
    """The loader of a verb, and its session; under plain doit it takes the dodo's place."""
    loader = command.loader
    if not isinstance(loader, FeatureTaskLoader):
        ours = FeatureTaskLoader(Session.from_cwd, loader.namespace)
        ours.cmd_names, ours.config = loader.cmd_names, loader.config
        command.loader = ours
        return ours
    return loader
