"""In a dodo that is not ours, every verb is stock doit's: parsing, options, output, exit codes.

Entry points put our commands into every doit project of an environment. So before anything is
parsed in our way, the dodo is loaded as doit would load it; when it does not say that it is ours,
the stock command gets the command line as it was typed. A verb that doit does not have is a task's
name there (`doit status` with a `task_status`).
"""

from __future__ import annotations

from typing import Any

from doit.cmd_base import NamespaceTaskLoader
from doit.cmdparse import CmdOption, CmdParse, CmdParseError
from doit.exceptions import InvalidCommand, InvalidDodoFile

from orchestr.registry import VERBS

OURS = "ORCHESTR_TASKS"  # the name by which a dodo says that it is ours
REPLACED = frozenset({"run", "list", "info", "forget", "clean", "ignore"})


def is_added(verb: str) -> bool:
    """Whether stock doit has no command of that name: it is one of our verbs, or a package's."""
    return verb not in REPLACED and VERBS.knows(verb)


def find_stock_command(command: Any, words: list[str]) -> tuple[Any, list[str]] | None:
    """Doit's own command to give ``words`` to, and the words; None where the dodo is ours.

    Imports the dodo, once. Raises what it raises, and InvalidDodoFile as doit does.
    """
    loader = command.loader
    if not isinstance(loader, NamespaceTaskLoader):
        return None  # the program `orchestr`: no dodo at all
    name = command.get_name()
    try:
        loader.setup(_loader_options(command, words if name in REPLACED else []))
    except InvalidDodoFile:
        if is_added(name):
            return None  # `doit init` in an empty folder
        raise
    loader.setup = _do_nothing  # doit calls it again: a dodo is not to be imported twice
    if OURS in (loader.namespace or {}):
        return None
    loader.cmd_names = [known for known in loader.cmd_names if not is_added(known)]
    if is_added(name):
        from doit.cmd_run import Run as StockRun

        return StockRun(**command.given), [name, *words]
    stock = next(c for c in type(command).__mro__ if c.__module__.startswith("doit."))
    return stock(**command.given), words


def _loader_options(command: Any, words: list[str]) -> Any:
    """Which dodo: by the options before the first name, the settings, and what stood before."""
    loader = command.loader
    known = {option.name: option for option in command.get_options()}
    for raw in loader.cmd_options:
        known.setdefault(raw["name"], CmdOption(raw))
    parser = CmdParse(list(known.values()))
    parser.overwrite_defaults({k: v for k, v in command.config_vals.items() if k in known})
    try:
        params, _names = parser.parse(words)
    except CmdParseError:
        params, _names = parser.parse([])  # the real parser reports what is wrong
    params.update(command.opt_vals)
    return params


class NoSuchTask(InvalidCommand):  # type: ignore[misc]
    """What doit says of a word that is neither command nor task; the word was no command."""

    @property
    def cmd_used(self) -> None:
        return None

    @cmd_used.setter
    def cmd_used(self, _name: str | None) -> None:
        """doit notes the command it believes it ran: ours, which is none here."""


def run_stock_command(theirs: Any, words: list[str], name: str) -> int:
    """Run doit's own command. Raises what it raises."""
    try:
        return int(theirs.parse_execute(words) or 0)
    except InvalidCommand as error:
        if not is_added(name):
            raise
        raise NoSuchTask(*error.args, not_found=error.not_found) from error


def _do_nothing(_options: Any) -> None:
    return None
