"""The `orchestr` program: a doit program whose tasks come from `specs/`.

Owns how the words reach a verb; which verbs there are is `orchestr.registry.VERBS`.
`--version` imports nothing heavy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import orchestr
from orchestr.registry import VERBS
from orchestr.views.terminal.door import guard_streams


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb. Returns the exit code (`orchestr.errors.ExitCode`)."""
    _open_closed_streams()
    with guard_streams():
        try:
            code = _run_words(list(sys.argv[1:] if argv is None else argv))
            sys.stdout.flush()
        except BrokenPipeError:  # whoever reads has seen enough
            from orchestr.views.terminal.output import silence_stdout

            silence_stdout()
            return 0
        return code


def _run_words(words: list[str]) -> int:
    if words[:1] == ["--version"]:
        sys.stdout.write(f"orchestr {orchestr.__version__}\n")
        return 0
    asks_all = words == ["help"] or (words[:1] == ["help"] and words[1] in ("help", "-h", "--help"))
    if not words or words[0] in ("-h", "--help") or asks_all:
        from orchestr.commands.base.help import overview_text

        sys.stdout.write(overview_text())
        return 0 if words else 2
    if words[:2] == ["completion", "--words"]:  # at every Tab: straight there
        from orchestr.commands.completion import print_candidates

        return print_candidates([word for word in words[2:3] if word != "--"] + words[3:])
    if words[0] == "help" or words[1:2] in (["--help"], ["-h"]):
        words = ["help", words[1] if words[0] == "help" else words[0]]
        if not VERBS.knows(words[1]):
            return _report_unknown_verb(words[1])
    elif not VERBS.knows(words[0]):
        return _report_unknown_verb(words[0])
    return _run_verb(words)


def _open_closed_streams() -> None:
    """Started with a closed stdin, stdout or stderr (`>&-`, some daemons): give it to /dev/null.

    Else the next file that is opened, a journal, gets its number, and a child's output goes there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: its own
            os.set_inheritable(null, True)
            setattr(sys, name, os.fdopen(null, mode))


def _report_unknown_verb(word: str) -> int:
    import difflib

    close = difflib.get_close_matches(word, VERBS.names(), n=1)
    hint = f"did you mean `orchestr {close[0]}`?" if close else "orchestr --help"
    sys.stderr.write(f"error: there is no verb {word!r}\nhint: {hint}\n")
    return 2


def _run_verb(words: list[str]) -> int:
    from doit.cmd_help import Help
    from doit.doit_cmd import DoitMain
    from doit.plugin import PluginDict, PluginEntry

    from orchestr.errors import OrchestrError
    from orchestr.run.workspace import Session
    from orchestr.tasks.loader import FeatureTaskLoader
    from orchestr.views.terminal.output import report_error, silence_stdout

    class HelpVerb(Help):  # type: ignore[misc]
        """doit's, for whose reader a closed pipe is no fault: doit would print a traceback."""

        name = "help"

        def execute(self, params: Any, args: list[str]) -> int:
            try:
                return int(super().execute(params, args) or 0)
            except BrokenPipeError:
                silence_stdout()
                return 0

    class ForeignVerb(PluginEntry):  # type: ignore[misc]
        """A verb of another package; doit loads the one that is asked for."""

        def load(self) -> Any:
            return VERBS.load(self.name)

    class OrchestrMain(DoitMain):  # type: ignore[misc]
        BIN_NAME = "orchestr"

        def process_args(self, cmd_args: Sequence[str]) -> list[str]:
            """Every word is the verb's: doit takes `a=b` for itself and falls over an empty one."""
            return list(cmd_args)

        def get_cmds(self) -> PluginDict:
            found = PluginDict()
            for verb in VERBS.own_names:
                place = f"{VERBS.package}.{verb}:{verb.capitalize()}"
                found[verb] = PluginEntry("COMMAND", verb, place)
            if words[0] not in found:  # another package's verb, or `help` of one
                for verb in VERBS.foreign_names:
                    found[verb] = ForeignVerb("COMMAND", verb, "")
            found["help"] = HelpVerb
            return found

    config = {"BACKEND": {"orchestr": "orchestr.tasks.database:WriteThroughDB"}}
    try:
        program = OrchestrMain(
            FeatureTaskLoader(Session.from_cwd), config_filenames=(), extra_config=config
        )
        code = int(program.run(words) or 0)
    except OrchestrError as error:
        return report_error(error)
    except BrokenPipeError:
        silence_stdout()
        return 0
    return 2 if code == 3 and words[0] != "run" else code


if __name__ == "__main__":
    sys.exit(main())
