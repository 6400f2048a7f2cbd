"""The small values of specs and settings: durations, names, branches, path patterns.

Pure functions that raise `BadValue` with what is wrong and how to write it instead. They know
neither files nor positions; their callers do. Branch names follow git's rules
(git-check-ref-format(1)) without asking git, and a little more: ASCII only, because a
look-alike letter would make two branches that a person cannot tell apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

MAX_BYTES = 4 << 20  # of a spec or of the settings
NAME_LIMIT = 100  # names become folders and parts of refs; 255 bytes is where file systems end
DAY = 86400.0
LONGEST = 30 * DAY

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_FEATURE = re.compile(r"[a-z][a-z0-9_-]*")
_CELL = re.compile(r"[a-z][a-z0-9-]*")
_REPO = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]*")
_COMMIT_TYPE = re.compile(r"[a-z][a-z0-9-]{0,29}!?")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DURATION_HINT = "write it like 90s, 30m, 2h or 500ms, or as whole seconds"


class BadValue(ValueError):
    """A value that cannot be used; ``hint`` says how to write it.

    ``field`` names the part that is meant where a mapping as a whole was looked at.
    """

    def __init__(
        self, message: str, hint: str | None = None, *, field: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field


def parse_duration(value: object) -> float:
    """Seconds of ``90s``, ``30m``, ``2h``, ``1h30m``, ``500ms`` or of a whole number of seconds.

    Raises BadValue: another form, not more than zero, or longer than 30 days.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadValue(f"must be a duration, got {kind_of(value)}", _DURATION_HINT)
    if isinstance(value, int):
        seconds = float(value) if abs(value) < 1 << 53 else LONGEST + 1
    elif value.isascii() and value.isdigit() and len(value) < 16:
        seconds = float(value)
    else:
        parts = _DURATION.findall(value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            raise BadValue(f"{quote_value(value)} is not a duration", _DURATION_HINT)
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds <= 0:
        raise BadValue("a duration must be more than zero", _DURATION_HINT)
    if seconds > LONGEST:
        raise BadValue("a duration must be at most 30 days", _DURATION_HINT)
    return seconds


def nearest_name(word: str, known: Collection[str]) -> str | None:
    """The known name that looks most like ``word``, or None when none does."""
    import difflib

    by_shape = {name.lower().replace("_", "-"): name for name in sorted(known)}
    close = difflib.get_close_matches(word[:200].lower().replace("_", "-"), list(by_shape), 1)
    return by_shape[close[0]] if close else None


def suggest_name(word: str, known: Collection[str]) -> str | None:
    """A hint for an unknown name: the nearest one, else all of them (at most twenty)."""
    if not known:
        return None
    close = nearest_name(word, known)
    if close is not None:
        return f"did you mean `{close}`?"
    names = sorted(known)
    rest = f", ... ({len(names)} in all)" if len(names) > 20 else ""
    return f"known: {', '.join(names[:20])}{rest}"


def check_feature_name(value: str) -> str:
    """``metadata.name``: `[a-z][a-z0-9_-]*`."""
    return _check_name(value, _FEATURE, "a feature's name", "small letters, digits, `-` and `_`")


def check_cell_name(value: str) -> str:
    """A cell's key: `[a-z][a-z0-9-]*`."""
    return _check_name(value, _CELL, "a cell's name", "small letters, digits and `-`")


def check_repo_name(value: str) -> str:
    """A repository's name: one folder name, never a path or an option."""
    if "/" in value and value.isascii():
        raise BadValue(
            f"{quote_value(value)} is a path, not a repository's name",
            "write its name; where it lies goes to [repos.NAME] path in orchestr.toml",
        )
    _check_name(value, _REPO, "a repository's name", "letters, digits, `.`, `_` and `-`", "")
    if ".." in value or value.endswith((".", ".lock", ".git")):
        raise BadValue(
            f"{quote_value(value)} cannot be a repository's name",
            "it may not hold `..` nor end with `.`, `.lock` or `.git`",
        )
    return value


def check_word(value: str) -> str:
    """A model or an agent: goes to a command line, so no spaces and no leading `-`."""
    if not _WORD.fullmatch(value) or len(value) > NAME_LIMIT:
        raise BadValue(
            f"{quote_value(value)} is not a plain name{_odd_character_note(value)}",
            _option_hint(value),
        )
    return value


def check_commit_type(value: str) -> str:
    """The type of a conventional commit: `feat`, `fix`, or `feat!` for one that breaks users."""
    if not _COMMIT_TYPE.fullmatch(value):
        raise BadValue(
            f"{quote_value(value)} is no type of a conventional commit{_odd_character_note(value)}",
            "write feat, fix, perf, docs, refactor, chore, ...; feat! for a breaking change",
        )
    return value


def check_key(value: str) -> str:
    """The Jira key, which becomes part of branch and file names."""
    _check_name(value, _REPO, "a key", "letters, digits, `.`, `_` and `-`", "")
    if ".." in value or value.endswith((".", ".lock")):
        raise BadValue(f"{quote_value(value)} cannot be part of a branch name")
    return value


def check_branch(value: str) -> str:
    """A branch that we may make: git's rules, ASCII, nothing that means something else."""
    check_ref(value, "a branch")
    if value == "HEAD" or value.startswith("refs/"):
        raise BadValue(
            f"{quote_value(value)} cannot be a branch", "write the short name, without refs/heads/"
        )
    if value in ("orchestr", "orchestr/integ") or value.startswith("orchestr/integ/"):
        raise BadValue(f"{quote_value(value)} is kept for the engine's own branches")
    if _COMMIT.fullmatch(value):
        raise BadValue(f"{quote_value(value)} looks like a commit, it cannot be a branch")
    return value


def check_ref(value: str, what: str = "a base") -> str:
    """A ref name by git's rules (git-check-ref-format(1)), ASCII only, at most 200 characters."""
    why = _ref_problem(value)
    if why is not None:
        raise BadValue(f"{quote_value(value)} cannot be {what}: {why}")
    return value


def check_glob(value: str, place: str = "repository") -> str:
    """A path in the repository (``place``), or a pattern for paths, that leads nowhere else."""
    hint = f"patterns are relative to the {place}, like src/api/** or docs/*.md"
    text = check_line(value)
    parts = text.split("/")
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:", text):
        raise BadValue(f"{quote_value(value)} is not relative", hint)
    if ".." in parts:
        raise BadValue(f"{quote_value(value)} leaves the {place}", hint)
    if "." in parts or "\\" in text or text.startswith(("!", "#")) or "" in parts[:-1]:
        raise BadValue(f"{quote_value(value)} is not a plain pattern", hint)
    if ".git" in parts:
        raise BadValue(f"{quote_value(value)} is git's own folder", hint)
    return value


def check_text(value: str) -> str:
    """Text for people and agents: several lines, no control characters, not empty."""
    if not value.strip():
        raise BadValue("is empty")
    for character in value:
        if character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cs"):
            raise BadValue(f"holds the control character {_describe_character(character)}")
    return value


def check_line(value: str) -> str:
    """Text of one line."""
    check_text(value)
    if "\n" in value:
        raise BadValue("must be one line")
    return value


def kind_of(value: object) -> str:
    """What a value is, in words for a person who writes YAML or TOML."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true/false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"a {type(value).__name__}"


def quote_value(value: str) -> str:
    """A value as part of a message: escaped where a terminal would not show it, and short."""
    return f"`{escape_unprintable(value, 80)}`"


def escape_unprintable(value: str, limit: int = 400) -> str:
    """Text that cannot move a terminal's cursor, cut at ``limit`` characters."""
    short = value if len(value) <= limit else value[: limit - 3] + "..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short)


def _check_name(
    value: str, pattern: re.Pattern[str], what: str, allowed: str, start: str = "a small letter"
) -> str:
    if pattern.fullmatch(value) and len(value) <= NAME_LIMIT:
        return value
    if len(value) > NAME_LIMIT:
        raise BadValue(f"{quote_value(value)} is longer than {NAME_LIMIT} characters")
    first = start or "a letter or digit"
    raise BadValue(
        f"{quote_value(value)} cannot be {what}{_odd_character_note(value)}",
        f"use {allowed}, starting with {first}",
    )


def _ref_problem(value: str) -> str | None:
    if not value:
        return "it is empty"
    if len(value) > 200:
        return "it is longer than 200 characters"
    for character in value:
        if not " " < character <= "~":
            return (
                "it holds a space"
                if character == " "
                else f"it holds {_describe_character(character)}"
            )
        if character in "~^:?*[\\":
            return f"it holds `{character}`"
    if value.startswith("-"):
        return "it starts with `-`, like an option"
    for bad in ("..", "@{", "//"):
        if bad in value:
            return f"it holds `{bad}`"
    if value == "@":
        return "git reads `@` as HEAD"
    if value.startswith("/") or value.endswith(("/", ".")):
        return "it starts with `/`, or ends with `/` or `.`"
    for part in value.split("/"):
        if part.startswith("."):
            return "a part of it starts with `.`"
        if part.endswith(".lock"):
            return "a part of it ends with `.lock`"
    return None


def _odd_character_note(value: str) -> str:
    """`` (it holds ...)`` for the first character outside ASCII: look-alikes are invisible."""
    for character in value:
        if not " " <= character <= "~":
            return f" (it holds {_describe_character(character)})"
    return ""


def _describe_character(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def _option_hint(value: str) -> str | None:
    return "it would be read as an option" if value.startswith("-") else None
