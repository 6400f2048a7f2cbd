"""`lineage`: the commits that were asked about, what made each, and all that is known of the cells.

Reads records and git; the words are `orchestr.provenance.text`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.git.repo import Repo
from orchestr.landing.candidates import RESOLVED
from orchestr.provenance.gather import CellOrigin
from orchestr.provenance.origins import Origins
from orchestr.provenance.traces import (
    CommitLine,
    Trace,
    list_known_tips,
    read_commits,
    trace_by_trailers,
    trace_commits,
)
from orchestr.spec.path_patterns import match_paths
from orchestr.views.query.explain import locate_in_spec


@dataclass(frozen=True, slots=True)
class SpecField:
    """The field of a spec by which a path, or a cell's work, is its own; ``place`` is FILE:LINE."""

    field: str
    place: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class TracedCommit:
    """A commit and what made it; None: no record and no trailer knows it."""

    line: CommitLine
    trace: Trace | None

    @property
    def resolved(self) -> str:
        """How the conflicts of a landing were resolved, by its trailer; "" for none."""
        return self.line.trailers.get(RESOLVED, "")


@dataclass(frozen=True, slots=True)
class Lineage:
    """``path`` is "" where a commit was asked about. ``fields`` has the cells with a spec."""

    repo: str
    path: str
    commits: tuple[TracedCommit, ...]
    cells: tuple[CellOrigin, ...]
    fields: Mapping[str, SpecField]

    def to_table(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "repo": self.repo,
            "path": self.path,
            "commits": [_commit_table(one) for one in self.commits],
            "cells": [self._cell_table(one) for one in self.cells],
        }

    def _cell_table(self, origin: CellOrigin) -> dict[str, Any]:
        name = origin.records.name
        field = self.fields.get(name)
        return {
            "cell": name,
            "spec": asdict(field) if field is not None else None,
            "head": asdict(origin.head) if origin.head is not None else None,
            "landings": [asdict(one) for one in origin.landings],
        }


def find_lineage(
    origins: Origins,
    repo: Repo,
    name: str,
    contexts: Mapping[str, CellContext],
    *,
    commit: str = "",
    path: str = "",
    most: int = 0,
) -> Lineage:
    """The lineage of a commit or a path of repository ``name``. Raises GitError.

    ``contexts`` are the cells of specs by `FEATURE:CELL`, for the places of their fields.
    """
    near = list(origins.of_repository(name))
    tips = list_known_tips(repo, near)
    revisions = [commit] if commit else tips
    lines = read_commits(repo, *revisions, path=path, most=most) if revisions else []
    traces = trace_commits(repo, near)
    commits = [TracedCommit(one, traces.get(one.commit) or trace_by_trailers(one)) for one in lines]
    named = dict.fromkeys(
        (one.trace.feature, one.trace.cell) for one in commits if one.trace is not None
    )
    cells = [origins.find_origin(*names) for names in named if origins.knows_cell(*names)]
    fields = {
        key: find_spec_field(contexts[key], path)
        for key in (one.records.name for one in cells)
        if key in contexts
    }
    return Lineage(name, path, tuple(commits), tuple(cells), fields)


def find_spec_field(ctx: CellContext, path: str = "") -> SpecField:
    """What gives a path to a cell: the contract that it owns, `owned_paths` or `shared_paths`; its
    `todo` where none names it, and for a commit."""
    cell, feature = ctx.cell, ctx.run.feature
    if path:
        for contract in reversed(feature.contracts):
            if contract.owner == cell.name and match_paths([contract.path])(path):
                return SpecField("contracts", locate_in_spec(ctx, "contracts"), contract.path)
        for field, patterns in (
            ("owned_paths", cell.owned_paths),
            ("shared_paths", cell.proof.shared_paths),
        ):
            fitting = [one for one in patterns if match_paths([one])(path)]
            if fitting:
                return SpecField(field, locate_in_spec(ctx, field), fitting[-1])
    return SpecField("todo", locate_in_spec(ctx, "todo"), cell.todo[0] if cell.todo else "")


def _commit_table(one: TracedCommit) -> dict[str, Any]:
    trace = asdict(one.trace) if one.trace is not None else None
    line = one.line
    return {
        "commit": line.commit,
        "tree": line.tree,
        "subject": line.subject,
        "author": line.author,
        "date": line.date,
        "made_by": trace,
        "resolved": one.resolved,
    }
