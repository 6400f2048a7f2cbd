"""What the events about a cell's identity say: renamed, retired, accepted under an edited spec.

Each step that changes something outside of our files is journalled before (``done`` is false) and
after; `orchestr.state.event_details` has the other kinds.
"""

from __future__ import annotations

from typing import Any

from orchestr.state.detail_fields import Details, Text


class CellMoved(Details, frozen=True, tag="cell.moved"):
    """It has a new name: ``what`` is feature, cell, branch or pull request; ``old`` and ``new`` are
    its names (addresses of a pull request), ``head`` where its branch stood."""

    what: Text = None
    old: Text = None
    new: Text = None
    head: Text = None
    done: bool = False


class CellRetired(Details, frozen=True, tag="cell.retired"):
    """It is no longer wanted: its head is kept as ``ref``; ``user`` is who retired it."""

    branch: Text = None
    head: Text = None
    ref: Text = None
    url: Text = None
    path: Text = None
    user: Text = None
    done: bool = False


class CellAccepted(Details, frozen=True, tag="cell.accepted"):
    """Its result stands under an edited spec: ``changes`` are rows of phase, field, old and new."""

    phases: list[Any] | None = None
    changes: list[Any] | None = None
    head: Text = None
    name: Text = None
    email: Text = None
    user: Text = None
    reason: Text = None
