"""What an agent's git did, by git's own record of it (trace2): who moved a ref, set a setting.

The environment of an agent names a file; every git command that inherits it appends its words, its
folder and its children there. A command of a person in the same clone has another environment, so
what the record does not show was not shown to be the agent's. Reading judges words, not effects:
a command counts for a ref when it can move refs and names it, or can move refs without naming them.

Leaves open: a program with its own implementation of git, a cleared environment, files written
without git. What these do counts as not shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST = 1 << 28  # bytes of a record that are read: a night of an agent that loops over git
# Commands that move a ref which their words name.
NAMING = frozenset({
    "branch", "tag", "update-ref", "symbolic-ref", "switch", "checkout", "worktree", "push",
    "fetch", "pull", "rebase", "reset", "replace", "fast-import", "filter-branch", "filter-repo",
    "stash",
})  # fmt: skip
# Commands that move the branch of the checkout that they run in.
MOVING_HEAD = frozenset({
    "commit", "merge", "rebase", "reset", "pull", "am", "cherry-pick", "revert", "checkout",
    "switch", "bisect",
})  # fmt: skip
_WORDS = re.compile(r"[:+=,\s]+")
_SECTIONS: Mapping[str, tuple[str, ...]] = {  # what a command writes without naming the setting
    "remote": ("remote.", "branch."),
    "submodule": ("submodule.",),
    "sparse-checkout": ("core.sparse", "extensions."),
    "lfs": ("filter.", "lfs.", "core.hookspath"),
    "maintenance": ("maintenance.", "gc."),
    "branch": ("branch.",),
    "checkout": ("branch.",),
    "switch": ("branch.",),
    "push": ("branch.",),
    "init": ("core.",),
    "scalar": ("",),
}


@dataclass(slots=True)
class GitCommand:
    """One git process: its command, all its words, where it ran, what it started."""

    argv: tuple[str, ...] = ()
    name: str = ""
    worktree: str = ""
    children: tuple[tuple[str, ...], ...] = ()

    @property
    def words(self) -> frozenset[str]:
        """The words, also the parts of `from:to`, `+ref` and `--name=value`."""
        return frozenset(part for word in self.argv for part in (word, *_WORDS.split(word)))


def trace_environment(record: Path) -> dict[str, str]:
    """The variables that make every git below append to ``record``."""
    return {"GIT_TRACE2_EVENT": str(record), "GIT_TRACE2_EVENT_BRIEF": "1"}


def read_commands(record: Path) -> list[GitCommand]:
    """The commands in the order of their start; torn and foreign lines are passed over."""
    found: dict[str, GitCommand] = {}
    try:
        stream = record.open("rb")
    except OSError:
        return []
    with stream:
        for line in stream:
            if stream.tell() > MOST:
                break
            if not line.startswith(b"{"):
                continue
            try:
                event = json.loads(line)
                _apply_event(found.setdefault(str(event["sid"]), GitCommand()), event)
            except (ValueError, KeyError, TypeError):
                continue
    return [command for command in found.values() if command.argv]


def _apply_event(command: GitCommand, event: Mapping[str, Any]) -> None:
    match event["event"]:
        case "start":
            command.argv = tuple(str(word) for word in event["argv"])
        case "cmd_name" if not str(event["name"]).startswith("_"):
            command.name = str(event["name"])
        case "alias":
            command.argv = (*command.argv, *(str(word) for word in event["argv"]))
        case "def_repo" if not command.worktree:
            command.worktree = str(event["worktree"])
        case "child_start":
            child = tuple(str(word) for word in event["argv"])
            command.children = (*command.children[:20], child)
        case _:
            pass


def moved_ref(ref: str, commands: Iterable[GitCommand], checkouts: Iterable[Path] = ()) -> bool:
    """Whether one of the commands can have moved or deleted ``ref``.

    ``checkouts`` are the folders where the branch is checked out: a command that moves HEAD there
    moves it, too.
    """
    short = ref.split("/", 2)[-1]
    names = {ref, short, ref.removeprefix("refs/")}
    places = {str(path) for path in checkouts}
    for command in commands:
        if command.name in MOVING_HEAD and command.worktree in places:
            return True
        if command.name not in NAMING:
            continue
        words = command.words
        if names & words or _moves_unnamed(command, words, ref):
            return True
    return False


def _moves_unnamed(command: GitCommand, words: frozenset[str], ref: str) -> bool:
    """Whether the command moves refs like ``ref`` that its words need not name."""
    match command.name:
        case "update-ref":
            return "--stdin" in words
        case "rebase":
            return "--update-refs" in words
        case "filter-branch" | "filter-repo" | "fast-import":
            return True
        case "replace":
            return ref.startswith("refs/replace/")
        case "fetch" | "pull" if ref.startswith("refs/tags/"):
            return bool(_TAG_OPTIONS & words)
        case "fetch" | "pull" | "push":
            return "--mirror" in words or any("*" in word for word in words)
        case _:
            return False


_TAG_OPTIONS = frozenset({"--tags", "-t", "--force", "-f", "--prune-tags", "-P", "--mirror"})


def count_foreign_stash_drops(commands: Iterable[GitCommand]) -> int:
    """How many entries the commands took from the list of stashes beyond those that they put there.

    An agent may stash and pop its own changes. A `stash` that found nothing to save puts nothing
    there, and so the `pop` after it takes a person's: git then starts no command that cleans the
    worktree.
    """
    depth = foreign = 0
    for command in commands:
        match command.name:
            case "reflog" | "update-ref" if _drops_stash_ref(command.words):
                foreign += 1
            case "stash":
                verb, index = _read_stash_words(command.argv)
                if verb in ("push", "save"):
                    depth += _has_saved(command)
                elif verb == "store":
                    depth += 1
                elif verb == "clear":
                    foreign, depth = foreign + 1, 0
                elif verb in ("pop", "drop", "branch") and index < depth:
                    depth -= 1
                elif verb in ("pop", "drop", "branch"):
                    foreign += 1
            case _:
                pass
    return foreign


def _drops_stash_ref(words: frozenset[str]) -> bool:
    """Whether a `reflog` or an `update-ref` takes entries from the list of stashes."""
    ending = words & {"delete", "expire", "-d"}
    named = any(word.startswith(("stash", "refs/stash")) for word in words)
    return bool(ending) and (named or "--all" in words)


def _read_stash_words(argv: tuple[str, ...]) -> tuple[str, int]:
    """The verb of a `git stash`, and the place in the list that it names (0: the newest)."""
    words = list(argv[argv.index("stash") + 1 :]) if "stash" in argv else []
    verb = next((word for word in words if not word.startswith("-")), "push")
    places = (re.fullmatch(r"(?:(?:refs/)?stash@\{)?(\d+)\}?", word) for word in words)
    index = next((int(place[1]) for place in places if place is not None), 0)
    return (verb if verb in _STASH_VERBS else "push"), index


def _has_saved(command: GitCommand) -> bool:
    """Whether a `stash push` had something to save: it cleans the worktree afterwards."""
    return any(_CLEANING & set(child) for child in command.children)


_STASH_VERBS = frozenset({
    "list", "show", "drop", "pop", "apply", "branch", "clear", "create", "save", "store", "push",
})  # fmt: skip
_CLEANING = frozenset({"reset", "clean", "apply", "checkout", "read-tree"})


def changed_setting(key: str, commands: Iterable[GitCommand]) -> bool:
    """Whether one of the commands can have written the setting ``key`` (in lower case)."""
    section = key.rpartition(".")[0]
    for command in commands:
        if any(key.startswith(start) for start in _SECTIONS.get(command.name, ())):
            return True
        if command.name == "config":
            words = {word.lower() for word in command.words}
            if {key, section} & words or words & {"--edit", "-e", "edit"}:
                return True
    return False
