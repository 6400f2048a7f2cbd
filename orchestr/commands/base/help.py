"""What `orchestr help` and `orchestr help VERB` say, from what each verb's class declares."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from orchestr.errors import OrchestrError
from orchestr.registry import VERBS

WIDTH = 80
COLUMN = 26  # where the words of an option begin
VERB_COLUMN = 42  # where the purpose of a verb begins
# The sections of `orchestr help`, in its order; a verb names its own in `help_group`.
GROUPS = {
    "build": "build a feature",
    "view": "look",
    "land": "merge",
    "workspace": "the workspace",
    "other": "other",
}
# doit's options that our verbs show, too, in words of ours.
THEIRS = {
    "subtasks": "cells and phases, too",
    "dryrun": "show what would be removed; remove nothing",
    "forget_all": "every feature",
}
ARGUMENTS = {
    "jobs": "N", "only": "CELL", "model": "MODEL", "agent": "AGENT", "timeout": "TIME",
    "budget": "USD", "budget_tokens": "N", "format": "FORMAT", "output": "FILE", "attempt": "N",
    "last": "N", "since": "TIME", "grep": "RE", "if_changed": "UPSTREAM", "for": "TIME",
    "as": "NAME", "on": "PATH", "reply": "ID", "resolve": "ID", "label": "NAME", "unlabel": "NAME",
    "reason": "TEXT", "file": "FILE", "issue": "URL|FILE", "product": "KIND", "repo": "NAME",
    "source": "WHAT", "template": "NAME", "set": "KEY=VALUE", "answer": "KEY=TEXT", "gate": "GATE",
    "out": "FOLDER", "attestations": "FOLDER", "port": "N", "number": "N", "review": "NAME",
    "strategy": "HOW", "pr": "FILE", "feature": "FEATURE", "ref": "BRANCH", "skip": "CELL",
    "base": "CELL=BRANCH", "effort": "WORD", "option": "PHASE.FIELD=VALUE",
}  # fmt: skip
Example = tuple[str, str]  # what is typed after `orchestr`, what it does


def purpose_of(verb: Any) -> str:
    """What a verb is for, in our words (`Verb.purpose`)."""
    return str(getattr(verb, "purpose", "") or verb.doc_purpose)


def usage_of(verb: Any) -> str:
    """What follows a verb on the command line, in our words (`Verb.usage`)."""
    return str(getattr(verb, "usage", "") or verb.doc_usage)


def overview_text() -> str:
    """All verbs by group. A verb that cannot be loaded is listed with the reason."""
    sections: dict[str, list[str]] = {group: [] for group in GROUPS}
    for name in VERBS.names():
        try:
            verb = VERBS.load(name)
        except OrchestrError as error:
            sections["other"] += [f"  orchestr {name}", f"      {error.message}"]
            continue
        group = getattr(verb, "help_group", "other")
        found = sections[group if group in GROUPS else "other"]
        found += _format_verb(name, usage_of(verb), purpose_of(verb))
    lines = ["orchestr: make for features"]
    for group, shown in sections.items():
        if shown:
            lines += ["", GROUPS[group], *shown]
    lines += ["", "  orchestr help VERB".ljust(VERB_COLUMN) + "options and examples of a verb"]
    return "\n".join(lines) + "\n"


def _format_verb(name: str, usage: str, purpose: str) -> list[str]:
    head = f"  orchestr {name} {usage}".rstrip()
    words = textwrap.wrap(purpose, WIDTH - VERB_COLUMN)
    indent = " " * VERB_COLUMN
    if len(head) >= VERB_COLUMN - 1:
        return [head, *(indent + line for line in words)]
    return [head.ljust(VERB_COLUMN) + words[0], *(indent + line for line in words[1:])]


def shown_options(command: Any) -> list[Any]:
    """The options of a verb that are ours to show."""
    found = command.cmdparser.options
    return [o for o in found if o.section == "orchestr" or o.name in THEIRS]


def help_text(command: Any) -> str:
    """Purpose, usage, options, examples; at most 80 columns where the words allow it."""
    name = command.get_name()
    lines = [f"orchestr {name}: {purpose_of(command)}", ""]
    options = shown_options(command)
    usage = " ".join(p for p in (usage_of(command), "[OPTION]..." if options else "") if p)
    lines.append(f"  orchestr {name} {usage}".rstrip())
    if options:
        lines += ["", "options"]
        for option in options:
            lines += _format_option(option)
    examples: Sequence[Example] = command.examples
    if examples:
        lines += ["", "examples"]
        typed = [e if e.startswith("eval") else f"orchestr {e}" for e, _ in examples]
        column = min(max(len(t) for t in typed) + 4, 46)
        for text, (_, what) in zip(typed, examples, strict=True):
            if len(text) + 4 > column or column + len(what) > WIDTH:
                lines += [f"  {text}", f"      {what}"]
            else:
                lines.append(f"  {text:<{column - 2}}{what}")
    if "FEATURE" in usage_of(command):
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
