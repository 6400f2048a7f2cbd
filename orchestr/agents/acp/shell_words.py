"""The commands in a line of shell: enough of its grammar to know which programs it names.

Pure. A guard against accidents, as all rules for commands are: what a program does is not looked
into. A line that cannot be read (an open quote) has no answer, and is refused by who asks.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

_HEREDOC = re.compile(
    r"<<-?[ \t]*(['\"]?)(\w+)\1([^\n]*\n)((?:.*?\n)??)[ \t]*\2[ \t]*(?=\n|\)|$)", re.DOTALL
)
_ARITHMETIC = re.compile(r"\$\(\([^()]*\)\)")
_INNER = re.compile(r"[$<>]\(([^()]*)\)|`([^`]*)`")
_QUOTED = r"\"(?:\\.|[^\"\\])*\"|'[^']*'|\\."
_SINGLE_QUOTED = re.compile(_QUOTED, re.DOTALL)
_COMMENT = re.compile(rf"({_QUOTED})|(?<![^\s;&|()])#[^\n]*", re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_PUNCTUATION = ";&|()<>\n"
# Words before a command that are none; `for x in a b` and `case x in` name no command themselves.
_KEYWORDS = frozenset(("if", "then", "elif", "else", "while", "until", "do", "!", "{", "time"))
_ENDS = frozenset(("fi", "done", "esac", "}"))
_LISTS = frozenset(("for", "case", "select", "function"))
_WRAPPERS = frozenset(("env", "nice", "nohup", "command", "exec", "timeout", "setsid"))
_SHELLS = frozenset(("sh", "bash", "dash", "zsh"))
DEEPEST = 8  # substitutions and shells within each other
MOST = 200  # substitutions in a line

Command = tuple[str, ...]


def split_commands(line: str, depth: int = 0) -> tuple[Command, ...] | None:
    """Each simple command of a line as its words; None when the line cannot be read.

    Assignments before a command, redirections and wrappers (`timeout 60 make`) are left out; of
    `sh -c TEXT`, `$(TEXT)` and backticks the commands in the text are named, too.

    >>> split_commands("cd a && X=1 make -j2 2>&1 | tail -5; git commit -m \\"$(date)\\"")
    (('date',), ('cd', 'a'), ('make', '-j2'), ('tail', '-5'), ('git', 'commit', '-m', '_'))
    """
    if depth > DEEPEST:
        return None
    found: list[Command] = []
    text = _HEREDOC.sub(_keep_substitutions, line).replace("\\\n", " ")
    text = _ARITHMETIC.sub("_", text)
    text = _COMMENT.sub(_drop_comment, text)
    for _ in range(MOST):
        inner = _INNER.search(_blank_single_quotes(text))
        if inner is None:
            break
        start, end = inner.span()
        nested = split_commands(
            text[slice(*inner.span(1 if inner[1] is not None else 2))], depth + 1
        )
        if nested is None:
            return None
        found += nested
        text = f"{text[:start]}_{text[end:]}"
    else:
        return None
    try:
        lexer = shlex.shlex(text, posix=True, punctuation_chars=_PUNCTUATION)
        lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t\r", "", True
        words = list(lexer)
    except ValueError:
        return None
    for simple in _cut_at_separators(words):
        unwrapped = _unwrap(simple, depth)
        if unwrapped is None:
            return None
        found += unwrapped
    return tuple(found)


def _keep_substitutions(found: re.Match[str]) -> str:
    """The line of a here document without its text, of which a shell runs `$(...)` and backticks
    when the word that ends it is not quoted."""
    quote, line, body = found[1], found[3], found[4]
    while not quote and (inner := _INNER.search(body)) is not None:
        start, end = inner.span()
        if body[start] in "$`":
            line += f": {inner[0]}\n"
        body = f"{body[:start]}_{body[end:]}"
    return line


def _drop_comment(found: re.Match[str]) -> str:
    """Nothing for a comment. What is quoted stays; signs alone (`'|'`) must not separate later."""
    quoted = found[1] or ""
    alone = quoted[:1] in ("'", '"') and all(char in _PUNCTUATION for char in quoted[1:-1])
    return "_" if alone and len(quoted) > 2 else quoted


def _blank_single_quotes(text: str) -> str:
    """The text, as long as before, without what stands in single quotes: nothing is run there."""
    return _SINGLE_QUOTED.sub(
        lambda found: found[0] if found[0][0] != "'" else "'" + "_" * (len(found[0]) - 2) + "'",
        text,
    )


def _cut_at_separators(words: list[str]) -> Iterator[list[str]]:
    """The words of each simple command, without redirections."""
    simple: list[str] = []
    skip = False
    for word in words:
        if skip:  # the file of a redirection
            skip = False
        elif word and all(char in _PUNCTUATION for char in word):
            if any(char in "<>" for char in word):
                if simple and simple[-1].isdigit():
                    simple.pop()  # `2>`: the number of the stream
                skip = True
            else:
                yield simple
                simple = []
        else:
            simple.append(word)
    yield simple


def _unwrap(words: list[str], depth: int) -> tuple[Command, ...] | None:
    """The command behind keywords, assignments and wrappers; those in the text of `sh -c`."""
    while words:
        first = words[0]
        if first in _ENDS and len(words) == 1:
            return ()
        if first in _KEYWORDS or _ASSIGNMENT.match(first):
            words = words[1:]
        elif first in _LISTS:
            return ()
        elif first in _WRAPPERS and len(words) > 1:
            words = words[1:]
            while words and (words[0].startswith("-") or words[0][:1].isdigit()):
                words = words[1:]
        else:
            break
    if not words:
        return ()
    if words[0] == "trap" and len(words) > 2:  # a line that is run later
        return split_commands(words[1], depth + 1)
    if words[0].rpartition("/")[2] in _SHELLS:
        for number, word in enumerate(words[1:], start=1):
            if word.startswith("-") and not word.startswith("--") and "c" in word:
                return split_commands(words[number + 1], depth + 1) if words[number + 1 :] else None
    return (tuple(words),)
