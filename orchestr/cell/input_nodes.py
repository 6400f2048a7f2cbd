"""The forms in which the inputs of a phase are declared, and what a digest makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestr.cell.context import CellContext

SPEC, SETTINGS, UPSTREAM, GIT = "spec", "settings", "upstream", "git"

Reader = Callable[[CellContext], Any]


@dataclass(frozen=True, slots=True)
class PhaseInput:
    """One value. ``origin`` is the file it stands in, for a value with a default in the settings
    a function. ``row`` is its form in the digest, where that differs from the value.
    """

    field: str
    origin: str | Reader
    value: Reader
    row: Reader | None = None

    def field_name(self, ctx: CellContext) -> str:
        """The path of the field: `todo`, `repos.app.checks`."""
        return self.field.format(repo=ctx.cell.repo)

    def origin_name(self, ctx: CellContext) -> str:
        """SPEC or SETTINGS."""
        return self.origin if isinstance(self.origin, str) else str(self.origin(ctx))

    def digest_row(self, ctx: CellContext) -> Any:
        """The value as the digest contains it."""
        return (self.row or self.value)(ctx)


@dataclass(frozen=True, slots=True)
class Joined:
    """Inputs that are one list in the digest."""

    inputs: tuple[PhaseInput, ...]


@dataclass(frozen=True, slots=True)
class WhenSet:
    """Inputs that count only while one of ``any_of`` has a value; else the digest has none."""

    any_of: tuple[PhaseInput, ...]
    nodes: tuple[Node, ...]


Node = PhaseInput | Joined | WhenSet | str | int | tuple[Any, ...]  # a tuple contains nodes


def digest_rows(ctx: CellContext, nodes: Sequence[Node]) -> list[Any]:
    found: list[Any] = []
    for node in nodes:
        match node:
            case PhaseInput():
                found.append(node.digest_row(ctx))
            case Joined(inputs):
                found.append([row for one in inputs for row in one.digest_row(ctx)])
            case WhenSet(any_of, inside):
                if any(one.digest_row(ctx) for one in any_of):
                    found += digest_rows(ctx, inside)
            case tuple():
                found.append(digest_rows(ctx, node))
            case _:
                found.append(node)
    return found


def walk_inputs(
    nodes: Sequence[Node], under: tuple[WhenSet, ...]
) -> Iterator[tuple[PhaseInput, tuple[WhenSet, ...]]]:
    for node in nodes:
        match node:
            case PhaseInput():
                yield node, under
            case Joined(inputs):
                yield from walk_inputs(inputs, under)
            case WhenSet(_, inside):
                yield from walk_inputs(inside, (*under, node))
            case tuple():
                yield from walk_inputs(node, under)
