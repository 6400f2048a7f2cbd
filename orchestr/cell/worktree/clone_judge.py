"""Who changed a file around a worktree, by what the cells' git and supervisors noted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestr.cell.worktree.clone_config import FileJudge
from orchestr.cell.worktree.clone_snapshot import read_git_record
from orchestr.cell.worktree.write_activity import WriteEvidence, Wrote
from orchestr.state.layout import WorkspaceLayout


def make_judge(
    layout: WorkspaceLayout, key: str, others: Sequence[str], kept: Path, during: str
) -> FileJudge:
    """The judge of what the agents of the cell ``key`` changed; ``others`` are at work, too."""
    mine, *theirs = (WriteEvidence(layout, one) for one in (key, *others))
    return FileJudge(
        commands=read_git_record(layout, key),
        theirs=[command for other in others for command in read_git_record(layout, other)],
        may_have_written=lambda path, old: mine.judge_file(path, old) is not Wrote.NO,
        others_may_have_written=lambda path, old: any(
            one.judge_file(path, old) is not Wrote.NO for one in theirs
        ),
        kept=kept,
        during=during,
    )
