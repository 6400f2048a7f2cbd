"""What other packages add: their kinds by package, and what is wrong with each.

Listing loads what it lists, since only that shows a broken one; only `doctor` and `info` ask. A
package that cannot be used is a line of the answer, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestr.errors import OrchestrError
from orchestr.registry import VERBS, Registry, find_entry_points
from orchestr.settings.kinds import AGENT_KINDS, FORGE_KINDS
from orchestr.spec import check_kinds

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

NOT_OURS = "is the name of one of ours, which counts"


@dataclass(frozen=True, slots=True)
class BroughtKind:
    """One kind: ``what`` it is (`agent`, `forge`, `check`, `verb`), and why it cannot be used
    (empty: it can)."""

    what: str
    name: str
    target: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One package with all that it brings."""

    package: str
    version: str
    kinds: tuple[BroughtKind, ...]

    @property
    def is_broken(self) -> bool:
        """Whether anything of it cannot be used."""
        return any(kind.problem for kind in self.kinds)

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind.what} {kind.name}" for kind in self.kinds)
        return f"{self.package} {self.version}".rstrip() + f": {kinds}"


def list_plugins() -> tuple[Plugin, ...]:
    """Every package that adds a kind, by its name."""
    found: dict[tuple[str, str], list[BroughtKind]] = {}
    for what, group, own, explain in _list_groups():
        for name, points in find_entry_points(group).items():
            problem = NOT_OURS if name in own else explain(name)
            for point in points:
                kind = BroughtKind(what, name, point.value, problem)
                found.setdefault(_identify_package(point), []).append(kind)
    return tuple(
        Plugin(*key, tuple(sorted(kinds, key=lambda kind: (kind.what, kind.name))))
        for key, kinds in sorted(found.items())
    )


def _list_groups() -> Iterable[tuple[str, str, Iterable[str], Callable[[str], str]]]:
    registries: tuple[tuple[str, Registry[Any]], ...] = (
        ("agent", AGENT_KINDS),
        ("forge", FORGE_KINDS),
        ("verb", VERBS),
    )
    for what, registry in registries:
        yield what, registry.group, registry.own_names, _explain_kind_of(registry)
    yield "check", check_kinds.GROUP, check_kinds.list_own_kinds(), _explain_check


def _explain_kind_of(registry: Registry[Any]) -> Callable[[str], str]:
    def explain(name: str) -> str:
        try:
            registry.load(name)
        except OrchestrError as error:
            return error.message
        return ""

    return explain


def _explain_check(name: str) -> str:
    from orchestr.spec import check_models  # making the models shows whose fields cannot be read

    assert check_models.MODELS
    return check_kinds.describe_broken_kind(name) or ""


def _identify_package(point: EntryPoint) -> tuple[str, str]:
    if point.dist is None:
        return point.value.partition(":")[0], ""
    return point.dist.name, point.dist.version
