"""What events about open pull requests say: see `orchestr.state.event_details`."""

from __future__ import annotations

from orchestr.state.detail_fields import Details, Number, Text


class FollowNoted(Details, frozen=True, tag="follow.noted"):
    """What `follow` found at a pull request, and what comes of it: ``action`` is wait, rerun,
    repair, merge-base or none."""

    what: Text = None
    action: Text = None
    why: Text = None
    round: Number = None


class FollowParked(Details, frozen=True, tag="follow.parked"):
    """`follow` can do no more: a person must."""

    reason: Text = None
    hint: Text = None


class FollowCleared(Details, frozen=True, tag="follow.cleared"):
    """What a person was needed for is gone."""


class FollowAnswered(Details, frozen=True, tag="follow.answered"):
    """A thread got its answer; ``commit`` is what answers it, if one does."""

    thread: Text = None
    commit: Text = None
