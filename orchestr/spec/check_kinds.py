"""Every kind of check: found by its file's name, or by an entry point of another package.

A kind of ours is a file of the folder `orchestr.checks.kinds`: its name is the kind, the class in
it whose ``kind`` has that name is the declaration. Another package declares the entry point
``<kind> = "module:Class"`` in the group ``orchestr.checks``. There is no other list of kinds.

A kind is loaded when a check of it is read, and all kinds when a file is parsed or the JSON schema
is made. The folder lies on a higher floor than this module, hence its name as a text: a kind is
a plug-in, also when it is ours.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from orchestr.registry import (
    BrokenPlugin,
    find_entry_points,
    load_entry_point,
    name_package,
)
from orchestr.spec.check_record import CheckBase

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

FOLDER = "orchestr.checks.kinds"
GROUP = "orchestr.checks"


class UnknownKind(ValueError):
    """No package that is installed has this kind of check."""


class BrokenKind(ValueError):
    """The package of a kind is installed, but its declaration cannot be used."""


@cache
def find_kind(kind: str) -> type[CheckBase]:
    """The declaration of a kind. Raises UnknownKind or BrokenKind."""
    own = _find_own_kind(kind)
    if own is not None:
        return own
    if kind in _refused:
        raise BrokenKind(_refused[kind])
    entries = _list_entry_points().get(kind)
    if entries is None:
        raise UnknownKind(f"there is no kind of check `{kind}`")
    return _load_entry_point(kind, entries)


@cache
def list_kinds() -> tuple[str, ...]:
    """The name of every kind that can be loaded, sorted; a broken package hides no other one."""
    return tuple(
        kind
        for kind in sorted({*list_own_kinds(), *_list_entry_points()})
        if describe_broken_kind(kind) is None
    )


def describe_broken_kind(kind: str) -> str | None:
    """Why an installed kind cannot be used; None where it can, or where it is not installed."""
    try:
        find_kind(kind)
    except UnknownKind:
        return None
    except BrokenKind as error:
        return str(error)
    return None


def refuse_kind(kind: str, why: str) -> None:
    """Count a kind of another package as broken from now on: its fields cannot be read."""
    entry = _list_entry_points()[kind][0]
    package = name_package(entry) or entry.value
    _refused[kind] = f"check kind `{kind}` of the package {package} cannot be used: {why}"
    find_kind.cache_clear()
    list_kinds.cache_clear()


_refused: dict[str, str] = {}


@cache
def list_own_kinds() -> frozenset[str]:
    """The kinds that come with orchestr: the files of their folder."""
    from pkgutil import iter_modules

    folder = import_module(FOLDER)
    return frozenset(module.name for module in iter_modules(folder.__path__))


@cache
def _list_entry_points() -> dict[str, tuple[EntryPoint, ...]]:
    """The entry points of other packages by kind."""
    return find_entry_points(GROUP)


def _find_own_kind(kind: str) -> type[CheckBase] | None:
    if not (isinstance(kind, str) and kind.isidentifier()):
        return None
    try:
        module = import_module(f"{FOLDER}.{kind}")
    except ModuleNotFoundError as error:
        if error.name == f"{FOLDER}.{kind}":
            return None
        raise
    for value in vars(module).values():
        if _is_declaration(value) and value.kind == kind and value.__module__ == module.__name__:
            return value  # type: ignore[no-any-return]
    raise BrokenKind(f"{module.__file__} declares no check of kind `{kind}`")


def _load_entry_point(kind: str, entries: tuple[EntryPoint, ...]) -> type[CheckBase]:
    def accepts(value: object) -> bool:
        return _is_declaration(value) and value.kind == kind  # type: ignore[attr-defined]

    try:
        found: type[CheckBase] = load_entry_point(entries, accepts)
    except BrokenPlugin as error:
        package = error.package or entries[0].value
        message = f"check kind `{kind}` of the package {package} cannot be loaded: {error}"
        raise BrokenKind(message) from error
    return found


def _is_declaration(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, CheckBase) and hasattr(value, "kind")
