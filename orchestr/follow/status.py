"""The commit status `orchestr/feature` on every head of a feature: one required check guards all
repositories. Pure, but for `show_status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestr.cell.context import CellContext
from orchestr.codec import replace
from orchestr.errors import OrchestrError
from orchestr.follow.decide import GOOD, Rest, Step
from orchestr.follow.memory import FollowMemory
from orchestr.forges.base import PRState
from orchestr.forges.followed import (
    FEATURE_STATUS,
    CheckState,
    FollowingForge,
    PullRequestFacts,
    StatusState,
)

LONGEST = 140  # letters that every forge takes
KEPT = 4  # commits whose status is remembered


def judge_feature(
    steps: Mapping[str, Step], facts: Mapping[str, PullRequestFacts | None],
    unbuilt: Mapping[str, str], cross: Sequence[str], audit: Sequence[str] = (),
) -> tuple[StatusState, str]:  # fmt: skip
    """The state of a feature and one line of why.

    ``unbuilt`` are cells that are not done here, with the reason, ``cross`` what is red in cross
    checks, ``audit`` a red audit. Red anywhere is red, then whatever is open is pending.
    """
    red = []
    for name, one in facts.items():
        if one is not None and one.pr.state is PRState.OPEN:
            names = [c.name for c in one.checks if c.state is CheckState.FAILURE]
            red += [f"{name}: {names[0]} is red"] if names else []
    for name, step in steps.items():
        if isinstance(step, Rest) and step.needs_person:
            red.append(f"{name}: {step.why}")
    red += [f"cross checks: {line}" for line in cross]
    red += audit
    if red:
        return StatusState.FAILURE, _cut(red[0])
    waits = [f"{name}: {why}" for name, why in unbuilt.items()]
    for name, step in steps.items():
        if name not in unbuilt and not (isinstance(step, Rest) and step.state == GOOD):
            waits.append(f"{name}: {step.why}" if isinstance(step, Rest) else f"{name} is at work")
    if waits:
        return StatusState.PENDING, _cut(waits[0])
    return StatusState.SUCCESS, f"all {len(facts)} cells are green together"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def show_status(
    ctx: CellContext, memory: FollowMemory, facts: PullRequestFacts, state: StatusState, text: str,
    forge: FollowingForge,
) -> str:  # fmt: skip
    """Set the status of the pull request's head, where it is another one. Returns what went wrong:
    that is no reason to stop. Raises ForgeAway."""
    sha, value = facts.pr.head_sha, f"{state}: {text}"
    if memory.statuses.get(sha) == value:
        return ""
    try:
        forge.set_commit_status(ctx.repo_ref, sha, FEATURE_STATUS, state, text)
    except OrchestrError as error:
        return f"{ctx.name}: the status {FEATURE_STATUS} could not be set: {error.message}"
    kept = dict([*memory.statuses.items(), (sha, value)][-KEPT:])
    replace(memory, statuses=kept).write(ctx.dir)
    return ""
