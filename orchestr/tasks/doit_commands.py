"""Commands that doit alone has, where a dodo is ours: their stock form damages or misses something.

Entry points put them into every doit project of an environment. In a dodo that is not ours they are
the stock commands, and `tabcompletion` writes the script that doit writes without us.
"""

from __future__ import annotations

import json
import pprint
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from doit.cmd_completion import TabCompletion as DoitTabCompletion
from doit.cmd_dumpdb import DumpDB as DoitDumpDB
from doit.cmd_resetdep import ResetDep as DoitResetDep
from doit.doit_cmd import DoitMain
from doit.exceptions import InvalidCommand, InvalidDodoFile

from orchestr.spec.goal_names import FEATURE_PREFIX
from orchestr.tasks.plain_doit import OURS

SQLITE = b"SQLite format 3\0"


class Dumpdb(DoitDumpDB):  # type: ignore[misc]
    """`doit dumpdb` reads dbm files only; the database of a workspace is one of sqlite."""

    name = "dumpdb"

    def execute(self, opt_values: Any, pos_args: list[str]) -> Any:
        """Print every row as doit prints those of a dbm file."""
        path = Path(opt_values["dep_file"])
        if not path.exists() and Path("orchestr.toml").exists():
            raise InvalidCommand(f"there is no {path} yet: the first run makes it")
        if not path.is_file() or path.read_bytes()[: len(SQLITE)] != SQLITE:
            return super().execute(opt_values, pos_args)
        print("DBM type is 'sqlite3'")
        with closing(sqlite3.connect(f"file:{path.absolute()}?mode=ro", uri=True)) as rows:
            for key, value in rows.execute("select task_id, task_data from doit order by task_id"):
                print(f"{key} -> {pprint.pformat(json.loads(value), indent=4, width=100)}")
        return 0


class Resetdep(DoitResetDep):  # type: ignore[misc]
    """`doit reset-dep` writes rows that call an edited phase done; it may not for a feature."""

    name = "reset-dep"

    def _execute(self, pos_args: Any = None) -> Any:
        chosen = pos_args or [task.name for task in self.task_list]
        ours = [name for name in chosen if name.startswith(FEATURE_PREFIX)]
        if ours:
            raise InvalidCommand(
                f"reset-dep would call {ours[0]} done whatever has changed; "
                "`doit plan FEATURE` shows what would run and why"
            )
        return super()._execute(pos_args)


class Tabcompletion(DoitTabCompletion):  # type: ignore[misc]
    """`doit tabcompletion`: our verbs complete features where the dodo is ours."""

    name = "tabcompletion"
    cmds: dict[str, Any]

    def execute(self, opt_values: Any, pos_args: list[str]) -> Any:
        """Write the script; without a dodo of ours, of doit's own commands."""
        if not self._is_ours(opt_values):
            ours = {n for n, kind in self.cmds.items() if kind.__module__.startswith("orchestr.")}
            stock = {kind.get_name(): kind for kind in DoitMain.DOIT_CMDS}
            kept = {n: kind for n, kind in self.cmds.items() if n not in ours}
            self.cmds = {**{n: stock[n] for n in stock if n in ours}, **kept}
        elif opt_values["shell"] == "zsh":
            self.cmds = {name: _quote_purpose(kind) for name, kind in self.cmds.items()}
        return super().execute(opt_values, pos_args)

    def _is_ours(self, opt_values: Any) -> bool:
        """Whether the dodo is ours; a folder without one, or with a broken one, is not."""
        try:
            self.loader.setup({**opt_values, **self.opt_vals})
        except InvalidDodoFile:
            return False
        return OURS in (self.loader.namespace or {})

    @classmethod
    def _bash_cmd_args(cls, cmd: Any) -> str:
        """A verb that takes a feature completes the names of tasks, too."""
        text = str(super()._bash_cmd_args(cmd))
        return text.replace("compgen -f ", 'compgen -W "${tasks}" ') if _takes_tasks(cmd) else text

    @staticmethod
    def _zsh_arg_line(opt: Any) -> str:
        """The words of an option stand between double quotes, where the shell reads these two."""
        text = str(DoitTabCompletion._zsh_arg_line(opt))
        return text.replace("`", r"\`").replace("$", r"\$")

    @classmethod
    def _zsh_arg_list(cls, cmd: Any) -> list[str]:
        lines = list(super()._zsh_arg_list(cmd))
        return [*lines, "'*::task:(($tasks))'"] if _takes_tasks(cmd) else lines


def _quote_purpose(kind: Any) -> Any:
    """The command with a purpose that may stand between single quotes."""
    return type(kind.__name__, (kind,), {"doc_purpose": kind.doc_purpose.replace("'", r"'\''")})


def _takes_tasks(cmd: Any) -> bool:
    return "FEATURE" in cmd.doc_usage and "TASK" not in cmd.doc_usage
