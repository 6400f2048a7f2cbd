"""Our rules as answers to an agent's requests for permission. Pure.

An agent asks before it edits, runs a command or leaves its folder; no person is there to answer,
so the rules of the repository do (`orchestr.agents.permissions`): commands by their first words,
files by where they lie. What no rule names is refused, with the reason in the stream. The answer
is always for the one request: each that comes later is judged again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestr.agents.acp.request import ClientRequest
from orchestr.agents.acp.shell_words import Command, split_commands

# What a shell does itself and changes nothing beyond that shell.
BUILTINS = frozenset((
    "cd", "export", "unset", "set", "exit", "return", "break", "continue", ":", "[", "[[", "false",
    "sleep", "wait", "read", "local", "shift", "trap", "type", "umask", "pushd", "popd", "test",
))  # fmt: skip
_PATHS = ("file_path", "filePath", "path", "abs_path", "absolute_path", "notebook_path", "filepath",
          "parentDir", "fileName", "dir_path")  # fmt: skip
_COMMANDS = ("command", "cmd", "commands")
# Options of git before its command whose value is the next word.
_GIT_VALUES = frozenset(("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env",
                         "--attr-source"))  # fmt: skip
_READING = frozenset(("read", "search"))
_WRITING = frozenset(("edit", "delete", "move"))
_ALLOW = ("allow_once", "allow_always")
_REJECT = ("reject_once", "reject_always")


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the agent may, what it wanted in a few words, and why it may not."""

    allowed: bool
    what: str = ""
    why: str = ""


def judge_tool_call(call: Mapping[str, Any], asked: ClientRequest) -> Decision:
    """The answer to a request for the tool ``call`` (a ToolCallUpdate of ACP, as it came)."""
    command = find_command(call)
    if command:
        return judge_command(command, asked)
    kind, paths = call.get("kind"), sorted(set(find_paths(call)))
    title = str(call.get("title") or kind or "a tool")
    if kind == "execute":
        return Decision(False, title, "it does not say which command it runs")
    if kind == "think":
        return Decision(True, title)
    if kind in _READING or (kind in _WRITING and paths):
        judged = [judge_path(path, asked, write=kind in _WRITING) for path in paths]
        return next((one for one in judged if not one.allowed), Decision(True, title))
    if kind in (None, "other") and paths:  # not said whether it writes: then it may
        judged = [judge_path(path, asked, write=True) for path in paths]
        return next((one for one in judged if not one.allowed), Decision(True, title))
    if kind in _WRITING:
        return Decision(False, title, "it does not say which file it changes")
    if kind in (None, "other") and any(
        _is_tool_of(str(one["name"]), call) for one in asked.servers
    ):
        return Decision(True, title)
    return Decision(False, title, f"no rule allows a tool of the kind {kind or 'other'}")


def _is_tool_of(server: str, call: Mapping[str, Any]) -> bool:
    """Whether a tool is one of this MCP server, in one of the forms that agents have for it."""
    given, title = call.get("rawInput"), str(call.get("title") or "")
    if isinstance(given, Mapping) and server in (given.get("server"), given.get("server_name")):
        return True
    forms = rf"mcp__{re.escape(server)}__\w+|\S+ \({re.escape(server)} MCP Server\)"
    return re.match(rf"(?:{forms})(?!\S)", title) is not None


def judge_command(line: str, asked: ClientRequest) -> Decision:
    """Whether every command in a line of shell is allowed and none is denied."""
    what = " ".join(line.split())
    commands = split_commands(line)
    if commands is None:
        return Decision(False, what, "the command line cannot be read")
    for command in commands:
        denied = _find_rule(command, asked.denied, by_name=True)
        if denied:
            return Decision(False, what, f"`{denied}` is not for agents")
        known = command[0] in BUILTINS or _find_rule(command, asked.allowed)
        if not known:
            return Decision(
                False, what, f"{command[0]!r} is not among the tools of this repository"
            )
    return Decision(True, what)


def judge_path(text: str, asked: ClientRequest, *, write: bool) -> Decision:
    """Whether a file may be read or written, wherever links on its path lead."""
    path = resolve_in(asked.worktree, text)
    what = f"{'write' if write else 'read'} {text}"
    if write and not asked.edit and path not in _resolve_all(asked.write):
        return Decision(False, what, "this agent only reads")
    places = [asked.worktree, *([] if write else asked.read)]
    if any(path.is_relative_to(os.path.realpath(place)) for place in places):
        if write and _is_gits(path, asked):
            return Decision(False, what, "git's own data is written by git")
        return Decision(True, what)
    if path in _resolve_all(asked.write):
        return Decision(True, what)
    return Decision(False, what, "it lies outside the worktree")


def _is_gits(path: Path, asked: ClientRequest) -> bool:
    """Whether a path lies in the data of the worktree's git, or of a repository within it."""
    place = os.path.realpath(asked.worktree)
    return path.is_relative_to(place) and ".git" in path.relative_to(place).parts


def resolve_in(worktree: str, text: str) -> Path:
    """A path that an agent names, with every link followed; a relative one from the worktree."""
    return Path(os.path.realpath(os.path.join(worktree, text)))  # noqa: PTH118


def choose_option(options: Sequence[Mapping[str, Any]], decision: Decision) -> str | None:
    """The id of the option to choose; None when the agent offers none that says it."""
    for kind in _ALLOW if decision.allowed else _REJECT:
        for option in options:
            if option.get("kind") == kind and isinstance(option.get("optionId"), str):
                return str(option["optionId"])
    return None


def find_command(call: Mapping[str, Any]) -> str:
    """The line of shell that a tool would run, empty for what is no command."""
    given = call.get("rawInput")
    if isinstance(given, Mapping):
        for key in _COMMANDS:
            value = given.get(key)
            if isinstance(value, str) and value.strip():
                return value
            if isinstance(value, list) and value and all(isinstance(w, str) for w in value):
                return _join_words(value)
    title = call.get("title")
    if call.get("kind") == "execute" and isinstance(title, str) and not given:
        return title.strip("`")  # gemini: the title is the command, and there is nothing else
    return ""


def find_paths(call: Mapping[str, Any]) -> Iterator[str]:
    """The files that a tool call names: its locations, its diffs, its input."""
    for key in ("locations", "content"):
        for one in call.get(key) or ():
            if isinstance(one, Mapping) and isinstance(one.get("path"), str) and one["path"]:
                yield one["path"]
    given = call.get("rawInput")
    if isinstance(given, Mapping):
        for key in _PATHS:
            if isinstance(given.get(key), str) and given[key]:
                yield given[key]


def _join_words(words: list[str]) -> str:
    import shlex

    return shlex.join(words)


def _find_rule(command: Command, rules: Sequence[str], *, by_name: bool = False) -> str:
    """The first rule whose words the command begins with. ``by_name``: whatever its folder."""
    words = list(command)
    if by_name:
        words[0] = words[0].rpartition("/")[2]
    if words[0] == "git":  # `git -C x push` and `git --no-pager push` push, too
        while len(words) > 1 and words[1].startswith("-"):
            del words[1 : 3 if words[1] in _GIT_VALUES else 2]
    for rule in rules:
        wanted = rule.split()
        if words[: len(wanted)] == wanted:
            return rule
    return ""


def _resolve_all(paths: Sequence[str]) -> set[Path]:
    return {Path(os.path.realpath(path)) for path in paths}
