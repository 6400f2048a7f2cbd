"""What the event about candidates says; `orchestr.state.event_details` has the other kinds."""

from __future__ import annotations

from typing import Any

from orchestr.state.detail_fields import Details, Text


class CandidatesJudged(Details, frozen=True, tag="candidates.judged"):
    """Which of several attempts at the same work is taken, and why; ``results`` are rows of place,
    agent, attempt, state, dollars, tokens and changed lines. The event's attempt is the taken
    one, 0 where none made a result."""

    why: Text = None
    agent: Text = None
    results: list[Any] | None = None
