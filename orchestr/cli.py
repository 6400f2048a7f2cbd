"""The `orchestr` program: a doit program whose tasks come from `specs/`.

Owns the list of verbs and nothing else; `--version` imports nothing heavy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import orchestr
from orchestr.errors import VERBS

USAGE = """\
orchestr: make for features

  orchestr run FEATURE[:CELL[:PHASE]]    build what is not up to date
  orchestr approve FEATURE:CELL          say yes (or no) at a gate of a cell
  orchestr plan FEATURE                  what would run, in which order, and why
  orchestr list [--all]                  features, cells and phases
  orchestr status [FEATURE] [--watch]    how far everything is
  orchestr explain FEATURE:CELL          why it runs, waits, failed; the next command
  orchestr logs FEATURE:CELL [-f]        what the agent said and did
  orchestr prompt FEATURE:CELL           what the agent is asked to do
  orchestr report FEATURE [-o FILE]      one HTML file: plan, times, cost, evidence, changes
  orchestr board [--port N]              the same live in the browser, with actions
  orchestr export FEATURE --format F     the timeline as chrome-trace, csv or otel
  orchestr graph FEATURE                 what waits for what, coloured by state
  orchestr forget FEATURE:CELL           build it again with the next run
  orchestr land FEATURE...               merge what is done, each target always green
  orchestr rollback FEATURE              revert exactly what landed
  orchestr abort [FEATURE[:CELL]]        stop agents; worktrees stay
  orchestr clean FEATURE                 remove worktrees that hold nothing unsaved
  orchestr ignore FEATURE:CELL [--undo]  leave a cell as it is
  orchestr amend FEATURE:CELL            hand a change of a contract to its owner
  orchestr info TASK                     a task's files, dependencies and state
  orchestr doctor                        look for what is broken, with the mend for each
  orchestr validate [SPEC]               every error of the specs
  orchestr schema                        the JSON schema of a spec
  orchestr init [FOLDER]                 a new workspace
  orchestr completion bash|zsh|fish      a completion script for your shell

  orchestr help VERB   options and examples of a verb
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb. Returns the exit code (`orchestr.errors.ExitCode`)."""
    _open_closed_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--version"]:
        sys.stdout.write(f"orchestr {orchestr.__version__}\n")
        return 0
    if not words or words[0] in ("-h", "--help") or words == ["help"]:
        sys.stdout.write(USAGE)
        return 0 if words else 2
    if words[:2] == ["completion", "--words"]:  # at every Tab: straight there
        from orchestr.commands.completion import print_candidates

        return print_candidates([word for word in words[2:3] if word != "--"] + words[3:])
    if words[0] == "help" or words[1:2] in (["--help"], ["-h"]):
        words = ["help", words[1] if words[0] == "help" else words[0]]
    elif words[0] not in VERBS:
        return _report_unknown_verb(words[0])
    return _run_verb(words)


def _open_closed_streams() -> None:
    """Started with a closed stdin, stdout or stderr (`>&-`, some daemons): give it to /dev/null.

    Else the next file that is opened, a journal, gets its number, and what a child says goes there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: its own
            os.set_inheritable(null, True)
            setattr(sys, name, os.fdopen(null, mode))


def _report_unknown_verb(word: str) -> int:
    import difflib

    close = difflib.get_close_matches(word, VERBS, n=1)
    hint = f"did you mean `orchestr {close[0]}`?" if close else "orchestr --help"
    sys.stderr.write(f"error: there is no verb {word!r}\nhint: {hint}\n")
    return 2


def _run_verb(words: list[str]) -> int:
    from doit.doit_cmd import DoitMain
    from doit.plugin import PluginDict, PluginEntry

    from orchestr.errors import OrchestrError
    from orchestr.run.workspace import Session
    from orchestr.tasks.loader import FeatureTaskLoader
    from orchestr.views.terminal.output import report_error, silence_stdout

    class OrchestrMain(DoitMain):  # type: ignore[misc]
        BIN_NAME = "orchestr"

        def process_args(self, cmd_args: Sequence[str]) -> list[str]:
            """Every word is the verb's: doit takes `a=b` for itself and falls over an empty one."""
            return list(cmd_args)

        def get_cmds(self) -> PluginDict:
            found = PluginDict()
            for verb in VERBS:
                place = f"orchestr.commands.{verb}:{verb.capitalize()}"
                found[verb] = PluginEntry("COMMAND", verb, place)
            from doit.cmd_help import Help

            found["help"] = Help
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
