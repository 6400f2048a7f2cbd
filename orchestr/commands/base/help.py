"""What `orchestr help VERB` says: usage, options and examples, without doit's own."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

WIDTH = 80
COLUMN = 26  # where the words of an option begin
# doit's options that our verbs show, too, in words of ours.
THEIRS = {
    "subtasks": "cells and phases, too",
    "dryrun": "show what would be removed; remove nothing",
    "forget_all": "every feature",
}
ARGUMENTS = {
    "jobs": "N", "only": "CELL", "model": "MODEL", "agent": "AGENT", "timeout": "TIME",
    "budget": "USD", "budget_tokens": "N", "format": "FORMAT", "output": "FILE", "attempt": "N",
    "last": "N", "since": "TIME", "grep": "RE", "if_changed": "UPSTREAM",
}  # fmt: skip
Example = tuple[str, str]  # what is typed after `orchestr`, what it does
EXAMPLES: dict[str, Sequence[Example]] = {
    "run": (
        ("run mlkem", "all that is not up to date"),
        ("run mlkem:java-sdk", "one cell and what it needs"),
        ("run mlkem --failed", "what failed or was blocked, again"),
        ("run mlkem:java-sdk --force", "a new attempt, though nothing changed"),
        ("run mlkem --dry-run", "only show what would run, and why"),
        ("run mlkem -j 5 --budget 10 --yes", "5 agents, 10 dollars at most"),
    ),
    "approve": (
        ("approve mlkem:java-sdk", "show what waits for your yes, and ask"),
        ("approve mlkem:java-sdk --reject --reason 'keep the old key type'", "its agent is told"),
    ),
    "list": (("list", "the features"), ("list --all mlkem", "all below one of them")),
    "info": (("info mlkem:java-sdk:check", "files and state of one phase"),),
    "forget": (
        ("forget mlkem:java-sdk", "the cell is built again by the next run"),
        ("forget mlkem:java-sdk:publish", "only its pull request is written again"),
    ),
    "clean": (
        ("clean mlkem", "remove worktrees that hold nothing unsaved"),
        ("clean mlkem --dry-run", "only say which"),
    ),
    "ignore": (
        ("ignore mlkem:web-sdk", "leave the cell as it is"),
        ("ignore --undo mlkem:web-sdk", "build it again"),
    ),
    "amend": (
        ("amend mlkem:java-sdk --dry-run", "the change of the spec that its agent asks for"),
        ("amend mlkem:java-sdk", "take it: the owner of the contract does the work"),
    ),
    "plan": (("plan mlkem", "order, bases, what would run and why"),),
    "status": (
        ("status", "all features"),
        ("status mlkem --watch", "a live table, beside a run or without one"),
        ("status mlkem --fetch", "ask the forge first: checks and reviews"),
        ("status --json | jq '.features[].state'", "for programs"),
    ),
    "explain": (
        ("explain mlkem:java-sdk", "why it runs, waits or failed; the next command"),
        ("explain mlkem:java-sdk --if-changed platform-proto", "what would happen"),
    ),
    "logs": (
        ("logs mlkem:java-sdk", "the end of it: attempts, repairs, checks and reviews in order"),
        ("logs mlkem:java-sdk --reviews", "what its reviewers said"),
        ("logs mlkem:java-sdk -f", "what it does now, until nothing works on it"),
        ("logs mlkem:java-sdk --since 10m --grep 'FAIL|error'", "the failures of late"),
        ("logs mlkem:java-sdk --attempt 1 --last 0", "all of an earlier attempt"),
    ),
    "graph": (
        ("graph mlkem", "boxes and lines in the terminal"),
        ("graph mlkem -o mlkem.svg", "a drawing for the browser"),
        ("graph mlkem --format dot | dot -Tpng > mlkem.png", "with Graphviz"),
    ),
    "prompt": (
        ("prompt mlkem:java-sdk", "what the next attempt's agent is asked to do"),
        ("prompt mlkem:java-sdk --attempt 1", "what it was asked then"),
    ),
    "land": (
        ("land mlkem", "check and merge in order what is ready"),
        ("land mlkem --dry-run", "only show the order, and what is in the way"),
    ),
    "rollback": (("rollback mlkem", "undo what was landed, by reverts that are checked, too"),),
    "report": (
        ("report mlkem --open", "one HTML file, shown in the browser"),
        ("report mlkem -o mlkem.html", "to send it"),
    ),
    "export": (
        ("export mlkem -o trace.json", "for chrome://tracing, Perfetto, speedscope"),
        ("export mlkem --format csv", "for a spreadsheet"),
    ),
    "board": (("board", "all features, live in the browser, with actions"),),
    "abort": (
        ("abort mlkem:java-sdk", "stop one agent; the run goes on"),
        ("abort mlkem", "stop the whole run; worktrees stay"),
    ),
    "doctor": (("doctor", "look for what is broken, with the mend for each"),),
    "validate": (("validate", "all specs"), ("validate specs/mlkem.yaml", "one of them")),
    "schema": (("schema > spec.schema.json", "for an editor"),),
    "init": (("init ws", "a new workspace with an example"),),
    "completion": (
        ('eval "$(orchestr completion bash)"', "in ~/.bashrc"),
        ('eval "$(orchestr completion zsh)"', "in ~/.zshrc, after compinit"),
        ("completion fish > ~/.config/fish/completions/orchestr.fish", "once"),
    ),
}


def shown_options(command: Any) -> list[Any]:
    """The options of a verb that are ours to show."""
    found = command.cmdparser.options
    return [o for o in found if o.section == "orchestr" or o.name in THEIRS]


def help_text(command: Any) -> str:
    """Purpose, usage, options, examples; at most 80 columns where the words allow it."""
    name = command.get_name()
    lines = [f"orchestr {name}: {command.doc_purpose}", ""]
    options = shown_options(command)
    usage = " ".join(p for p in (command.doc_usage, "[OPTION]..." if options else "") if p)
    lines.append(f"  orchestr {name} {usage}".rstrip())
    if options:
        lines += ["", "options"]
        for option in options:
            lines += _format_option(option)
    examples = EXAMPLES.get(name, ())
    if examples:
        lines += ["", "examples"]
        typed = [e if e.startswith("eval") else f"orchestr {e}" for e, _ in examples]
        column = min(max(len(t) for t in typed) + 4, 46)
        for text, (_, what) in zip(typed, examples, strict=True):
            if len(text) + 4 > column or column + len(what) > WIDTH:
                lines += [f"  {text}", f"      {what}"]
            else:
                lines.append(f"  {text:<{column - 2}}{what}")
    if "FEATURE" in command.doc_usage:
        lines += ["", "Names: [feature:]FEATURE[:CELL[:PHASE]], as far as the verb takes them; "
                  "`orchestr list --all`"]  # fmt: skip
    return "\n".join(lines) + "\n"


def _format_option(option: Any) -> list[str]:
    argument = "" if option.type is bool else " " + ARGUMENTS.get(option.name, "VALUE")
    flags = [f"-{option.short}"] if option.short else []
    flags += [f"--{option.long}"] if option.long else []
    head = "  " + ", ".join(flags) + argument
    words = THEIRS.get(option.name) or option.help.partition("  (config")[0]
    told = textwrap.wrap(words, WIDTH - COLUMN)
    if len(head) >= COLUMN - 1:
        return [head, *(" " * COLUMN + line for line in told)]
    return [head.ljust(COLUMN) + told[0], *(" " * COLUMN + line for line in told[1:])]
