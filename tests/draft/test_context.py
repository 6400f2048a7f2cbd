"""A draft among the cells of its workspace."""

from __future__ import annotations

from pathlib import Path

from orchestr.cell.worktree.clone_snapshot import is_open
from orchestr.draft.context import DraftLayout
from orchestr.state import attempts
from orchestr.state.layout import DRAFT, WorkspaceLayout


def test_runs_and_drafts_see_each_other_at_work(tmp_path: Path) -> None:
    """The picture of the specs is one for all who are at work: each must find the others' records,
    or takes it anew, and what an agent changed before would count as it is."""
    place = (tmp_path, tmp_path / ".orchestr", tmp_path / ".orchestr/worktrees")
    run, draft = WorkspaceLayout(*place), DraftLayout(*place)
    opened = attempts.open_plan(run.cell_dir("keys", DRAFT), key="k", agent="a", model="", start="")
    cell = attempts.open_plan(run.cell_dir("keys", "app"), key="k", agent="a", model="", start="")
    for layout in (run, draft):
        for name in (DRAFT, "app"):
            assert is_open(layout, layout.key_of("keys", name)), (type(layout), name)
    attempts.close(run.cell_dir("keys", "app"), cell, "done")
    attempts.close(draft.cell_dir("keys", DRAFT), opened, "done")
    assert not is_open(draft, draft.key_of("keys", "app"))
    assert not is_open(run, run.key_of("keys", DRAFT))
