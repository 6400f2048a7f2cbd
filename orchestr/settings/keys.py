"""The types that settings are declared with: what a value of ``orchestr.toml`` must be.

A setting is one field of a record in `orchestr.settings.records`, with one of these types. The key,
its conversion and its variable follow from that (`orchestr.settings.sections`). Pure, without
pydantic: every command reads the settings.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from orchestr.registry import Registry
from orchestr.settings.kinds import AGENT_KINDS, FORGE_KINDS
from orchestr.settings.text_values import (
    convert_address,
    convert_clone_address,
    convert_http_address,
    convert_network,
    convert_text,
    convert_texts,
)
from orchestr.spec import field_types
from orchestr.spec.agent_options import check_names, parse_role_tables
from orchestr.spec.field_types import BadValue, kind_of, quote_value, suggest_name
from orchestr.spec.path_patterns import check_path_pattern

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Key:
    """The mark of a field that is a key of the settings.

    ``convert`` makes the record's value of the file's, or raises BadValue. ``plain`` says that a
    variable's text is the value as it is. A ``path`` is made absolute; ``usual`` is the path of a
    workspace that names none, with ``<state>`` for the folder of the state. ``choices`` are words
    that it may be.
    """

    convert: Convert
    plain: bool = False
    path: bool = False
    usual: str | None = None
    choices: tuple[str, ...] = ()


def parse_variable_text(key: Key, text: str) -> Any:
    """What an environment variable means for a key: text as it is, else as TOML reads it.

    A value that does not fit comes back as text, so that the check that follows names it.
    """
    if key.plain:
        return text
    try:
        return tomllib.loads(f"value = {text.strip()}")["value"]
    except (tomllib.TOMLDecodeError, KeyError, RecursionError):
        return text


def _convert_word(value: Any) -> str:
    return field_types.check_word(convert_text(value))


def _convert_ref(value: Any) -> str:
    return field_types.check_ref(convert_text(value))


def _convert_path(value: Any) -> str:
    text = convert_text(value)
    if text.startswith("~") and text != "~" and not text.startswith("~/"):
        raise BadValue(f"{quote_value(text)} names another user's folder", "write the whole path")
    return text


def _convert_trailers(value: Any) -> tuple[str, ...]:
    for line in convert_texts(value):
        field_types.check_line(line)
        if not _TRAILER.fullmatch(line):
            hint = 'like "Co-Authored-By: A Name <name@example.org>"'
            raise BadValue(f"{quote_value(line)} is not a trailer", hint)
    return tuple(value)


def _convert_subject(value: Any) -> str:
    text = convert_text(value)
    field_types.check_line(text)
    known = ", ".join(f"{{{name}}}" for name in SUBJECT_FIELDS)
    try:
        shown = text.format(**dict.fromkeys(SUBJECT_FIELDS, "x"))
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise BadValue(
            f"{quote_value(text)} cannot be filled in: {error}", f"known: {known}"
        ) from None
    if shown == text:
        raise BadValue(f"{quote_value(text)} is the same for all commits", f"name one of {known}")
    return text


SUBJECT_FIELDS = ("type", "cell", "title", "key", "feature")  # of `repos.NAME.commit_subject`
_TRAILER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*: \S.*")


def _convert_variables(value: Any) -> tuple[str, ...]:
    names = convert_texts(value)
    for name in names:
        _check_variable_name(name)
    return names


def _check_variable_name(name: str) -> None:
    if not name.isascii() or not name.replace("_", "a").isalnum() or name[0].isdigit():
        raise BadValue(f"{quote_value(name)} cannot be a variable's name",
                       "use letters, digits and `_`")  # fmt: skip


def _convert_path_patterns(value: Any) -> tuple[str, ...]:
    """Patterns for paths of a repository, as git reads a ``.gitignore``."""
    return tuple(map(check_path_pattern, convert_texts(value)))


def _convert_inner_paths(value: Any) -> tuple[str, ...]:
    """Paths in a checkout that go into each worktree: relative, and never git's own."""
    for path in convert_texts(value):
        parts = path.split("/")
        if path.startswith(("/", "~")) or ".." in parts or ".git" in parts:
            raise BadValue(f"{quote_value(path)} is not a path inside the repository", "like .env")
    return tuple(value)


def _convert_environment(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise BadValue(f"must be a table of texts, got {kind_of(value)}", 'like {NAME = "value"}')
    for name, text in value.items():
        if not isinstance(text, str) or "\0" in text:
            raise BadValue(f"{quote_value(name)} must be a text, got {kind_of(text)}",
                           "put it in quotes")  # fmt: skip
        if not name:
            raise BadValue("a variable's name is empty")
        _check_variable_name(name)
        if name.startswith("ORCHESTR_"):
            raise BadValue(f"{quote_value(name)} is set by orchestr itself", "choose another name")
    return MappingProxyType(dict(value))


def _convert_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadValue(f"must be true or false, got {_describe_value(value)}")
    return value


def _count_between(least: int, most: int, auto: bool = False) -> Convert:
    def convert_count(value: Any) -> int:
        if auto and value == "auto":
            return 0
        if isinstance(value, bool) or not isinstance(value, int):
            more = ' or "auto"' if auto else ""
            raise BadValue(f"must be a whole number{more}, got {_describe_value(value)}")
        if not least <= value <= most:
            raise BadValue(f"must be between {least} and {most:,}, got {str(value)[:20]}")
        return value

    return convert_count


def _convert_dollars(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(f"must be an amount in dollars, got {_describe_value(value)}", "like 20.0")
    if not 0 < value <= 1_000_000:
        raise BadValue("must be more than 0 and at most 1,000,000", "leave it out for no budget")
    return float(value)


def _convert_price(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(f"must be dollars per million tokens, got {_describe_value(value)}",
                       "like 3.0")  # fmt: skip
    if not 0 <= value <= 1_000_000:
        raise BadValue("must be between 0 and 1,000,000", "dollars per million tokens")
    return float(value)


def _one_of(*known: str) -> Convert:
    def convert_choice(value: Any) -> str:
        text = convert_text(value)
        if text not in known:
            words = " or ".join(f"`{word}`" for word in known)
            raise BadValue(f"must be {words}, got {quote_value(text)}", suggest_name(text, known))
        return text

    return convert_choice


def _kind_in(registry: Registry[Any]) -> Convert:
    def convert_kind(value: Any) -> str:
        text = convert_text(value)
        if not registry.knows(text):
            hint = suggest_name(text, registry.names())
            raise BadValue(f"there is no {registry.what} {quote_value(text)}", hint)
        return text

    return convert_kind


def _describe_value(value: Any) -> str:
    return quote_value(value) if isinstance(value, str) else kind_of(value)


def _convert_checks(value: Any) -> list[Any]:
    """Only the form; `orchestr.settings.repo_checks` reads what is in it."""
    if not isinstance(value, list):
        raise BadValue(f"must be a list of checks, got {kind_of(value)}", "write [[...checks]]")
    return value


@dataclass(frozen=True, slots=True)
class GeneratedFiles:
    """Files that a program writes. ``paths``: gitignore patterns; ``run``: the words of the command
    that writes them again, run at the top of the repository.
    """

    paths: tuple[str, ...]
    run: tuple[str, ...]


def _convert_generated(value: Any) -> tuple[GeneratedFiles, ...]:
    example = '[{paths = ["package-lock.json"], run = ["npm", "install", "--package-lock-only"]}]'
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadValue(f"must be a list of tables, got {kind_of(value)}", f"like {example}")
    found = []
    for index, item in enumerate(value):
        if unknown := [name for name in item if name not in ("paths", "run")]:
            raise BadValue(
                f"item {index} has no key {quote_value(unknown[0])}", "known: paths, run"
            )
        paths = _convert_path_patterns(item.get("paths", []))
        run = convert_texts(item.get("run", []))
        if not paths or not run or not run[0].strip():
            raise BadValue(f"item {index} must have `paths` and `run`", f"like {example}")
        found.append(GeneratedFiles(paths, run))
    return tuple(found)


RUNGS = ("recorded", "regenerate", "structure", "union")

STRATEGIES = ("merge", "squash", "rebase", "fast-forward")
REQUIREMENTS = ("checks", "approval", "conversations", "codeowners")
NEWS = ("done", "failed", "waiting", "approval")


def _some_of(what: str, known: tuple[str, ...]) -> Convert:
    def convert_words(value: Any) -> tuple[str, ...]:
        for word in convert_texts(value):
            if word not in known:
                raise BadValue(f"there is no {what} {quote_value(word)}", suggest_name(word, known))
        return tuple(value)

    return convert_words


def _convert_outer_paths(value: Any) -> tuple[str, ...]:
    """Paths outside of a repository: whole ones, or below the home folder (`~/...`)."""
    for path in convert_texts(value):
        if not path.startswith(("/", "~/")) or ".." in path.split("/") or path.strip("/~") == "":
            raise BadValue(f"{quote_value(path)} is not a whole path", "like ~/.m2 or /opt/data")
    return tuple(value)


def _convert_size(value: Any) -> int:
    """A number of bytes: `4G`, `512M`, `2 GiB`."""
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise BadValue(f"must be a size, got {_describe_value(value)}", 'like "4G" or "512M"')
    size = int(float(found[1]) * 1024 ** (" KMGT".index(found[2].upper())))
    if not 1 << 20 <= size <= 1 << 50:
        raise BadValue(f"must be between 1M and 1024T, got {quote_value(value)}")
    return size


_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGTkmgt])(?:i?[Bb])?")


def _convert_cpus(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.1 <= value <= 4096:
        raise BadValue(f"must be a number of processors, got {_describe_value(value)}", "like 2")
    return float(value)


def path_key(usual: str | None = None) -> Key:
    """The mark of a path."""
    return Key(_convert_path, plain=True, path=True, usual=usual)


def count(least: int, most: int, *, auto: bool = False) -> Key:
    """The mark of a whole number between two others; with ``auto`` also `"auto"`, which is 0."""
    return Key(_count_between(least, most, auto), choices=("auto",) if auto else ())


def choice(*known: str) -> Key:
    """The mark of one of several words."""
    return Key(_one_of(*known), plain=True, choices=known)


CHECKS = Key(_convert_checks)
PHASE_OPTIONS = Key(parse_role_tables)
DEFAULT_AGENT = Key(_convert_word, plain=True)  # it stands beside the agents' own tables

Text = Annotated[str, Key(convert_text, plain=True)]
Address = Annotated[str, Key(convert_address, plain=True)]
Texts = Annotated[tuple[str, ...], Key(convert_texts)]
Word = Annotated[str, Key(_convert_word, plain=True)]
Words = Annotated[tuple[str, ...], Key(check_names)]
Ref = Annotated[str, Key(_convert_ref, plain=True)]
CloneAddress = Annotated[str, Key(convert_clone_address, plain=True)]
HttpAddress = Annotated[str, Key(convert_http_address, plain=True)]
Subject = Annotated[str, Key(_convert_subject, plain=True)]
Trailers = Annotated[tuple[str, ...], Key(_convert_trailers)]
Variable = Annotated[str, Key(lambda value: _convert_variables([convert_text(value)])[0])]
Variables = Annotated[tuple[str, ...], Key(_convert_variables)]
InnerPaths = Annotated[tuple[str, ...], Key(_convert_inner_paths)]
PathPatterns = Annotated[tuple[str, ...], Key(_convert_path_patterns)]
Generated = Annotated[tuple[GeneratedFiles, ...], Key(_convert_generated)]
Rungs = Annotated[tuple[str, ...], Key(_some_of("rung", RUNGS))]
Requirements = Annotated[tuple[str, ...], Key(_some_of("requirement", REQUIREMENTS))]
Environment = Annotated[Mapping[str, str], Key(_convert_environment)]
Flag = Annotated[bool, Key(_convert_flag)]
Duration = Annotated[float, Key(field_types.parse_duration, plain=True)]
Dollars = Annotated[float, Key(_convert_dollars)]
Price = Annotated[float, Key(_convert_price)]
Tokens = Annotated[int, count(1, 1 << 50)]
Port = Annotated[int, count(1024, 65000)]
AgentKindName = Annotated[str, Key(_kind_in(AGENT_KINDS), plain=True)]
ForgeKindName = Annotated[str, Key(_kind_in(FORGE_KINDS), plain=True)]
Strategy = Annotated[str, choice(*STRATEGIES)]
Land = Annotated[str, choice("push", "api", "forge")]
News = Annotated[tuple[str, ...], Key(_some_of("news", NEWS))]
Network = Annotated[tuple[str, ...], Key(convert_network)]
OuterPaths = Annotated[tuple[str, ...], Key(_convert_outer_paths)]
Size = Annotated[int, Key(_convert_size, plain=True)]
Cpus = Annotated[float, Key(_convert_cpus)]
