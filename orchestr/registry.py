"""Open lists of kinds: a file in a folder of ours, or an entry point of another package.

Owns how a kind is found by its name. A kind of ours is a module of the registry's package, named
as the kind; one of another package is an entry point of the registry's group. Code that needs the
names asks here. Agents, forges and verbs are found so; kinds of checks, whose class declares its
name, by `orchestr.spec.check_kinds`. A name of ours cannot be replaced from outside, so an
installed package never changes what an existing workspace does.

Listing imports nothing, and the installed packages are searched only when a name is not ours or
all names are asked for: a workspace that uses our kinds alone does not pay for the search.

A package that is broken (it cannot be imported, wants another version of orchestr, takes a name
that a second package has, too, or declares something else) is an error where its kind is used,
which names it; `orchestr.settings.plugins` lists them all.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from orchestr.errors import OrchestrError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


class Registry(Generic[T]):
    """The kinds of one sort. ``attribute`` names what a module of ours declares its kind as."""

    def __init__(
        self,
        what: str,
        *,
        group: str,
        package: str,
        attribute: Callable[[str], str],
        accepts: Callable[[Any], bool] = callable,
    ) -> None:
        self._accepts = accepts  # whether what another package declares is such a kind
        self.what = what
        self.group = group
        self.package = package
        self._attribute = attribute
        self._loaded: dict[str, T] = {}

    def names(self) -> tuple[str, ...]:
        """Every name: ours in alphabetical order, then those of other packages."""
        return (*self.own_names, *self.foreign_names)

    def knows(self, name: str) -> bool:
        """Whether there is a kind of that name."""
        return name in self.own_names or name in self._entry_points

    def load(self, name: str) -> T:
        """The kind, imported once. Raises OrchestrError when its package cannot be imported."""
        if name not in self._loaded:
            self._loaded[name] = self._import_kind(name)
        return self._loaded[name]

    def make_adapter(self, name: str, make: Callable[[], Any], wanted: type) -> Any:
        """What a kind's ``make`` makes; that of another package must have all that ``wanted`` (a
        Protocol) declares. Raises OrchestrError, which names the package where it is at fault.
        """
        if name in self.own_names:
            return make()
        try:
            made = make()
        except OrchestrError:
            raise
        except (Exception, SystemExit) as error:  # another package may raise anything
            raise self._broken_error(name, f"made: {type(error).__name__}: {error}") from error
        declared = {*vars(wanted), *wanted.__annotations__}
        lacks = sorted(each for each in declared if each[0] != "_" and not hasattr(made, each))
        if lacks:
            what = f"made: an object of type {type(made).__name__} lacks {', '.join(lacks)}"
            raise self._broken_error(name, what)
        return made

    def _broken_error(self, name: str, why: str) -> OrchestrError:
        """Why a kind of another package cannot be used: ``why`` goes on after "cannot be"."""
        point = self._entry_points[name][0]
        package = name_package(point)
        return OrchestrError(
            f"the {self.what} {name!r} ({point.value}) cannot be {why}",
            hint=f"repair or uninstall {f'the package {package}' if package else 'its package'}",
        )

    @cached_property
    def own_names(self) -> tuple[str, ...]:
        """The names of our modules. Reads the folder; imports nothing."""
        import pkgutil  # not needed by `orchestr --version`

        folder = Path(__file__).parent.joinpath(*self.package.split(".")[1:])
        found = pkgutil.iter_modules([str(folder)])
        return tuple(sorted(module.name for module in found if not module.ispkg))

    @property
    def foreign_names(self) -> tuple[str, ...]:
        """The names that other packages add, in alphabetical order."""
        return tuple(sorted(self._entry_points))

    @cached_property
    def _entry_points(self) -> dict[str, tuple[EntryPoint, ...]]:
        found = find_entry_points(self.group)
        return {name: points for name, points in found.items() if name not in self.own_names}

    def _import_kind(self, name: str) -> T:
        if name in self.own_names:
            module = importlib.import_module(f"{self.package}.{name}")
            kind: T = getattr(module, self._attribute(name))
            return kind
        points = self._entry_points.get(name)
        if points is None:
            known = ", ".join(self.names())
            raise OrchestrError(f"there is no {self.what} {name!r}", hint=f"known: {known}")
        try:
            loaded: T = load_entry_point(points, self._accepts)
        except BrokenPlugin as error:
            raise self._broken_error(name, f"loaded: {error}") from error
        return loaded


class BrokenPlugin(Exception):
    """What another package brings cannot be used; the message says why, ``package`` names it."""

    def __init__(self, why: str, package: str) -> None:
        super().__init__(why)
        self.package = package


def find_entry_points(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """The entry points of a group by name, several where packages take the same name."""
    from importlib.metadata import entry_points  # 15 ms: only where a name is not ours

    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in sorted(entry_points(group=group), key=lambda point: point.value):
        found[point.name] = (*found.get(point.name, ()), point)
    return found


def load_entry_point(points: Sequence[EntryPoint], accepts: Callable[[Any], bool]) -> Any:
    """What the only entry point of a name declares. Raises BrokenPlugin."""
    point, package = points[0], name_package(points[0])
    if len(points) > 1:
        names = " and ".join(f"{name_package(one) or '?'} ({one.value})" for one in points)
        raise BrokenPlugin(f"several packages declare it: {names}", name_package(points[-1]))
    wanted = explain_other_version(point)
    if wanted is not None:
        raise BrokenPlugin(wanted, package)
    try:
        loaded = point.load()
    except (Exception, SystemExit) as error:  # a package may raise anything while it is imported
        raise BrokenPlugin(f"{type(error).__name__}: {error}", package) from error
    if not accepts(loaded):
        raise BrokenPlugin(
            f"it is an object of type {type(loaded).__name__}, and no such declaration "
            "(docs/plugins.md)",
            package,
        )
    return loaded


def explain_other_version(point: EntryPoint) -> str | None:
    """Why the package of an entry point is not for this version of orchestr, by its metadata."""
    if point.dist is None or not point.dist.requires:
        return None
    from packaging.requirements import InvalidRequirement, Requirement

    import orchestr

    for line in point.dist.requires:
        if not line.lower().startswith("orchestr"):
            continue
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        if wanted.name.lower() != "orchestr" or (wanted.marker and not wanted.marker.evaluate()):
            continue
        if not wanted.specifier.contains(orchestr.__version__, prereleases=True):
            return f"it needs orchestr {wanted.specifier}, and this is {orchestr.__version__}"
    return None


def name_package(point: EntryPoint) -> str:
    """The distribution that an entry point is from; empty where that is not known."""
    return point.dist.name if point.dist is not None else ""


VERBS: Registry[Any] = Registry(
    "verb",
    group="orchestr.commands",
    package="orchestr.commands",
    attribute=str.capitalize,  # the class of `orchestr plan` is `Plan`
    accepts=lambda value: isinstance(value, type) and hasattr(value, "doc_purpose"),
)


_typed_program = "orchestr"


def remember_program_name(program: str) -> None:
    """Note the program that the user typed: under plain doit, our verbs are verbs of `doit`."""
    global _typed_program  # noqa: PLW0603
    name = Path(program).name
    _typed_program = f"{Path(sys.executable).name} -m doit" if name == "__main__.py" else name


def substitute_program_name(text: str) -> str:
    """Commands in ``text`` as this user types them: a wrapper names itself in ORCHESTR_AS."""
    name = os.environ.get("ORCHESTR_AS") or _typed_program
    if name == "orchestr" or "orchestr " not in text:
        return text
    verbs = "|".join(map(re.escape, VERBS.names()))
    return re.sub(
        rf"(?<![\w./-])orchestr ({verbs})(?![\w-])", lambda found: f"{name} {found[1]}", text
    )
