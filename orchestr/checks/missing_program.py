"""A program that did not run: what it is, and whether the change could have provided it.

Two questions decide between red and not evaluated. Can the program be in a commit (a script of the
worktree that git does not ignore)? Then its absence is the change's fault, and an agent can repair
it. Is it the first program of a shell's script or of `env`? Only then the exit codes 126 and 127
say that nothing of the check ran: later in a script they are the script's own result.
"""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestr.checks.find_program import find_on_path
from orchestr.errors import OrchestrError, Unavailable

NOT_RUN = (126, 127)  # of a shell, env, nice and their like: not executable, not found
SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "ash"))
# Programs that run the one named behind their options; with each the options that take a word.
WRAPPERS: Mapping[str, tuple[str, ...]] = {
    "env": ("-u", "-C", "--unset", "--chdir"),
    "nice": ("-n",),
    "nohup": (),
    "setsid": (),
    "time": ("-f", "-o"),
    "timeout": ("-k", "-s"),
    "exec": ("-a",),
    "command": (),
}
SHELL_WRAPPERS = frozenset(("exec", "command", "time"))  # of a script: no programs, but its words
# They find no program, and what follows them is still the first one.
BUILTINS = frozenset(
    ("cd", "set", "export", "umask", "ulimit", "unset", "readonly", "trap", ":", "true", "shopt")
)
# After these words it depends on something which program is the first.
BRANCHING = frozenset(
    ("if", "while", "until", "for", "case", "select", "function", "{", "}", "!", "[[", "[",
     "test", "eval", "source", ".", "then", "do")
)  # fmt: skip
# Every shell, or its larger cousins, does these itself: whether PATH has them says nothing.
INSIDE = frozenset(
    ("exit", "return", "break", "continue", "shift", "times", "wait", "read", "local", "alias",
     "unalias", "bg", "fg", "jobs", "getopts", "hash", "type", "kill", "echo", "printf", "print",
     "pwd", "false", "let", "declare", "typeset", "integer", "float", "pushd", "popd", "dirs",
     "mapfile", "readarray", "builtin", "enable", "caller", "compgen", "complete", "compopt",
     "coproc", "disown", "suspend", "history", "fc", "logout", "bind", "noglob", "nocorrect",
     "setopt", "unsetopt", "autoload", "emulate", "whence", "where", "which", "zmodload")
)  # fmt: skip
_UNKNOWN = frozenset("$`*?~")  # a word with one of these is known to the shell alone


def list_first_programs(argv: Sequence[str]) -> tuple[str, ...]:
    """The programs that must be there for a command to begin: its own, then those behind it."""
    words = list(argv)
    found: list[str] = []
    while words:
        name = Path(words[0]).name
        found.append(words[0])
        if name in SHELLS:
            script = _find_script(words[1:])
            return (*found, *(_first_of_script(script) if script is not None else ()))
        if name not in WRAPPERS:
            break
        words = _words_behind_options(words[1:], name)
    return tuple(found)


def find_missing_program(
    argv: Sequence[str], worktree: Path, cwd: Path, env: Mapping[str, str]
) -> str | None:
    """What is missing of a command that ended with 126 or 127, in words.

    None when its first programs are there, or when the change can provide the missing one.
    """
    for name in list_first_programs(argv)[1:]:
        if "/" not in name:
            if find_on_path(name, env) is None:
                return f"{name} is not on PATH"
        elif not os.access(cwd / name, os.X_OK) and not can_change_provide(name, worktree, cwd):
            return f"{name} is not there, or not executable"
    return None


def can_change_provide(
    program: str, worktree: Path, cwd: Path, reason: int | None = errno.ENOENT
) -> bool:
    """Whether a commit can make this program run: a file of the worktree that git would add.

    What is ignored (`.venv`, `node_modules`) or lies behind a link out of the worktree comes with
    the machine. ``reason`` is the system's error number.
    """
    if "/" not in program:
        return False
    path, home = Path(os.path.normpath(cwd / program)), worktree.resolve()
    if not path.parent.resolve().is_relative_to(home):
        return False
    if reason == errno.ENOENT and path.is_file():
        return False  # the interpreter of its first line is what is missing
    return not _is_ignored(worktree, path)


def _is_ignored(worktree: Path, path: Path) -> bool:
    """Whether git ignores a path of the worktree; a folder without git ignores nothing."""
    from orchestr.git.repo import Repo

    try:
        done = Repo(worktree).run_git("check-ignore", "--quiet", "--", str(path), answers=(0, 1))
    except Unavailable:
        raise
    except OrchestrError:
        return False
    return done.code == 0


def _find_script(options: Sequence[str]) -> str | None:
    """The text behind the `-c` of a shell."""
    rest = list(options)
    given = False
    while rest and rest[0][:1] in "-+" and len(rest[0]) > 1:
        word = rest.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            continue
        given = given or (word[0] == "-" and "c" in word)
        if "o" in word.lower() and rest:
            rest.pop(0)  # the name of a setting
    return rest[0] if given and rest else None


def _first_of_script(script: str) -> tuple[str, ...]:
    """The first program of a shell's script, and what it runs; empty where that depends."""
    lexer = shlex.shlex(script.replace("\n", " ; "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        tokens = list(lexer)
    except ValueError:
        return ()
    command: list[str] = []
    for token in [*tokens, ";"]:
        if not token or set(token) - set("();<>|&"):
            command.append(token)
            continue
        if token.startswith("(") or (token[0] in "<>" and "".join(command).isdecimal()):
            return ()  # a function, a subshell; the number of a stream
        while command and _is_assignment(command[0]):
            command.pop(0)
        if command and command[0] not in BUILTINS:
            break
        if token.startswith(("|", "(", "<", ">")) and token != "||":
            return ()
        command = []
    while command and command[0] in SHELL_WRAPPERS:
        command = _words_behind_options(command[1:], command[0])
    if not command or command[0] in BRANCHING | INSIDE or _UNKNOWN & set(command[0]):
        return ()
    if command[0].isdecimal():
        return ()  # `exec 2>&1`: the number of a stream
    name = Path(command[0]).name
    runs_more = name in WRAPPERS or name in SHELLS
    return list_first_programs(command) if runs_more else (command[0],)


def _words_behind_options(words: Sequence[str], name: str) -> list[str]:
    """The command that a wrapper runs."""
    rest = list(words)
    while rest and (rest[0].startswith("-") or (name == "env" and _is_assignment(rest[0]))):
        word = rest.pop(0)
        if word == "--":
            break
        if word in WRAPPERS[name] and rest:
            rest.pop(0)
    return rest[1:] if name == "timeout" else rest  # its first word is the duration


def _is_assignment(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier()
