"""What a spec asks of a pull request beside its text: labels, people, milestone, draft or ready.

A cell's own words go before those of ``defaults``; lists are joined. What the settings say for
every pull request is joined in `orchestr.cell.pull_request.dress`.
"""
# Types are real objects here, not texts: a warm start reads them without compiling each.

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from orchestr.spec import fields
from orchestr.spec.declare import Doc
from orchestr.spec.rows import Row, record_from_row, record_to_row


@dataclass(frozen=True, slots=True)
class PullRequestOptions:
    """What the pull request of a cell is to have. ``ready`` None: as `forge.draft` says."""

    labels: Annotated[tuple[fields.Line, ...], Doc("labels to add", ["sdk"])] = ()
    reviewers: Annotated[
        tuple[fields.Word, ...], Doc("logins, or teams as ORG/TEAM", ["my-org/sdk-team"])
    ] = ()
    assignees: Annotated[tuple[fields.Word, ...], Doc("logins", ["my-login"])] = ()
    milestone: Annotated[fields.Line | None, Doc("the title of a milestone", "v2")] = None
    ready: Annotated[
        bool | None,
        Doc("`true`: no draft once all its evidence is green; `false`: a draft"),
    ] = None

    def __bool__(self) -> bool:
        return self != NO_OPTIONS

    def to_row(self) -> Row | None:
        """Everything as JSON values; None when nothing is asked for."""
        return record_to_row(self) if self else None

    @staticmethod
    def from_row(row: Row | None) -> "PullRequestOptions":
        """What `to_row` wrote. Raises KeyError, TypeError or ValueError for others."""
        found: Any = NO_OPTIONS if row is None else record_from_row(PullRequestOptions, row)
        return found  # type: ignore[no-any-return]


NO_OPTIONS = PullRequestOptions()


def join_options(levels: Sequence[PullRequestOptions]) -> PullRequestOptions:
    """The options of several levels, the one that counts least first: lists are joined, of the
    other fields the last one that is given counts."""
    labels, reviewers, assignees = (
        tuple(dict.fromkeys(item for level in levels for item in getattr(level, name)))
        for name in ("labels", "reviewers", "assignees")
    )
    milestones = [level.milestone for level in levels if level.milestone is not None]
    ready = [level.ready for level in levels if level.ready is not None]
    return PullRequestOptions(
        labels,
        reviewers,
        assignees,
        milestones[-1] if milestones else None,
        ready[-1] if ready else None,
    )
