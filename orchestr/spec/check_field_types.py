"""The values that only checks have: commands, variables, versions, paths into an answer.

Pure functions that raise `BadValue`, like those of `orchestr.spec.field_types`.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Collection, Iterable
from typing import Any

from orchestr.spec.field_types import BadValue, check_glob, check_line, kind_of, quote_value

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_BOUND = re.compile(r"\s*(==|!=|>=|<=|>|<|)\s*(\d+(?:\.\d+)*)\s*", re.ASCII)
_STEP = re.compile(r"\.?([A-Za-z_][\w-]*)|\[(\d{1,6})\]", re.ASCII)
PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
PORT_NAMES = frozenset(
    ("PORT", "BACKEND_PORT", "FRONTEND_PORT", *(f"ORCHESTR_PORT_{i}" for i in range(10)))
)
LONGEST_REGEX = 500


def check_argv(value: Any) -> Any:
    """A command as a list of words; a text is refused with the list it should be."""
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError:
            words = value.split()
        if any(mark in value for mark in "|&;<>$`"):
            words = ["sh", "-c", value]
        written = ", ".join(_quote_word(word) for word in words)
        raise BadValue("must be a list of words, got a text", f"write [{written}]")
    if isinstance(value, list) and not value:
        raise BadValue("is empty", "name a program, like [make, test]")
    if isinstance(value, list) and isinstance(value[0], str) and not value[0].strip():
        raise BadValue("its first word, the program, is empty", "like [make, test]")
    return value


def check_argument(value: str) -> str:
    """One word of a command; it may be empty and have several lines, but no control characters."""
    for character in value:
        if character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cs"):
            raise BadValue(f"holds the control character U+{ord(character):04X}")
    return value


def check_variable(value: str) -> str:
    """The name of an environment variable."""
    if not _VARIABLE.fullmatch(value):
        raise BadValue(
            f"{quote_value(value)} cannot be a variable's name", "use letters, digits and `_`"
        )
    return value


def check_own_variable(value: str) -> str:
    """The name of a variable that a spec may set."""
    if check_variable(value).startswith("ORCHESTR_"):
        raise BadValue(f"{quote_value(value)} is set by orchestr itself", "choose another name")
    return value


def check_header(value: str) -> str:
    """The name of an HTTP header."""
    if not _HEADER.fullmatch(value):
        raise BadValue(f"{quote_value(value)} cannot be a header's name")
    return value


def check_label(value: str) -> str:
    """The name of a check: one line for people, at most 100 characters."""
    if len(check_line(value)) > 100:
        raise BadValue("is longer than 100 characters")
    return value


def check_folder(value: str) -> str:
    """A folder in the worktree."""
    return value if value == "." else check_glob(value)


def check_work_folder(value: str) -> str:
    """A folder in the worktree; the worktree itself is the empty text."""
    return "" if check_folder(value) == "." else value


def drop_repeats(values: list[str]) -> list[str]:
    """The values, each once."""
    return list(dict.fromkeys(values))


def check_place(value: str) -> str:
    """A file or folder of the worktree that goes to a command line."""
    if value.startswith("-"):
        raise BadValue(f"{quote_value(value)} would be read as an option")
    return check_folder(value)


def check_selector(value: str) -> str:
    """What pytest shall run: a path, a node id or an expression of names."""
    check_line(value)
    if value.startswith("-"):
        hint = "options go to `args`"
        raise BadValue(f"{quote_value(value)} would be read as an option", hint)
    return value


def check_output_pattern(value: str) -> str:
    """A substring, or a regular expression between slashes."""
    if not value:
        raise BadValue("is empty")
    pattern = regex_of(value)
    if pattern is not None:
        if len(pattern) > LONGEST_REGEX:
            raise BadValue(f"a regular expression has at most {LONGEST_REGEX} characters")
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise BadValue(f"{quote_value(value)} is not a regular expression: {error}") from None
    return value


def regex_of(value: str) -> str | None:
    """What stands between the slashes of ``/regex/``; None for a plain text."""
    return value[1:-1] if len(value) > 2 and value[0] == value[-1] == "/" else None


def check_url_path(value: str) -> str:
    """The path of a request: starts with a slash, no spaces."""
    check_line(value)
    if not value.startswith("/") or any(c.isspace() for c in value):
        raise BadValue(
            f"{quote_value(value)} is not the path of a request", "like /api/items?limit=3"
        )
    return value


def check_url(value: str) -> str:
    """An http address; ``${BACKEND_PORT}`` and the other ports may stand in it."""
    check_line(value)
    if not re.match(r"https?://[^/\s]", value) or any(c.isspace() for c in value):
        raise BadValue(
            f"{quote_value(value)} is not a http address", "like http://127.0.0.1:8080/items"
        )
    if "@" in value.split("/")[2]:
        raise BadValue("holds a user or a password", "use `headers`, and a variable")
    return value


def check_placeholders(value: str, known: Collection[str]) -> None:
    """Every ``${NAME}`` of an address is a port's or one of ``known``."""
    for name in PLACEHOLDER.findall(value):
        if name not in PORT_NAMES and name not in known:
            hint = f"use ${{BACKEND_PORT}}, or set {name} in `env`"
            raise BadValue(f"{quote_value('${' + name + '}')} has no value here", hint)


def check_url_variables(url: str | None, env: Iterable[tuple[str, str]], *field: str) -> None:
    """`check_placeholders` of the address in ``field``; ``env`` are the check's own variables."""
    try:
        check_placeholders(url or "", {name for name, _ in env})
    except BadValue as error:
        raise BadValue(error.message, error.hint, field=field) from None


def needs_port_variable(url: str | None, known: Collection[str]) -> bool:
    """Whether an address has a ``${PORT}`` that only a cell with ports of its own can fill in."""
    return any(n in PORT_NAMES and n not in known for n in PLACEHOLDER.findall(url or ""))


def check_version(value: str) -> str:
    """``1.2`` (exact), or bounds like ``>=1.2,<2``."""
    parse_version_bounds(value)
    return value


def parse_version_bounds(value: str) -> list[tuple[str, tuple[int, ...]]]:
    """(operator, version) of each bound; no operator means ``==``."""
    found = []
    for part in value.split(","):
        match = _BOUND.fullmatch(part)
        if match is None:
            raise BadValue(f"{quote_value(value)} is not a version", "like 1.2, or >=1.2,<2")
        found.append((match[1] or "==", tuple(map(int, match[2].split(".")))))
    return found


def check_module(value: str) -> str:
    """A Python module, dotted."""
    if not _MODULE.fullmatch(value):
        raise BadValue(f"{quote_value(value)} is not a module's name", "like package.module")
    return value


def check_probe(value: str) -> str:
    """A probe's name: what an expression can call it."""
    import keyword

    if not value.isidentifier() or not value.isascii() or keyword.iskeyword(value):
        raise BadValue(f"{quote_value(value)} cannot be a probe's name", "letters, digits and `_`")
    return value


def check_json_path(value: str) -> str:
    """``items[0].name``, with or without ``$.`` before it."""
    parse_json_path(value)
    return value


def parse_json_path(value: str) -> list[str | int]:
    """The keys and indexes of a `check_json_path`. Raises BadValue."""
    rest = value.removeprefix("$")
    found: list[str | int] = []
    while rest:
        match = _STEP.match(rest)
        if match is None:
            hint = "like items[0].name"
            raise BadValue(f"{quote_value(value)} is not a path into JSON", hint)
        found.append(match[1] if match[1] is not None else int(match[2]))
        rest = rest[match.end() :]
    return found


def wrap_single_text(value: Any) -> Any:
    """A single text counts as a list of one."""
    return [value] if isinstance(value, str) else value


def number_between(least: int, most: int) -> Any:
    """A whole number between two others."""

    def check_number(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadValue(f"must be a whole number, got {kind_of(value)}")
        if not least <= value <= most:
            raise BadValue(f"must be between {least} and {most}, got {str(value)[:20]}")
        return value

    return check_number


def _quote_word(word: str) -> str:
    plain = re.fullmatch(r"[A-Za-z0-9_./-]+", word) and not re.fullmatch(r"[\d.-]+", word)
    return word if plain else '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
