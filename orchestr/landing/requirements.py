"""What forge and settings want of a pull request before it lands: checks and people. Pure.

By default what the protection of the target says (`BranchRules`), and no change is merged over a
review of a person with write access that asks for changes; `land_requires` adds to that. The rules
are those of the *target*: a stacked pull request is for a branch without rules until what is below
it has landed. `orchestr.landing.forge_gate` reads the facts and waits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestr.forges.followed import CheckState, CiCheck, PullRequestFacts, Verdict
from orchestr.forges.protection import BranchRules
from orchestr.landing.codeowners import OwnerLine, list_unapproved_paths

FORGE_WANTS = "the forge is not done with"  # how the reason of a held change begins


class Requirement(StrEnum):
    """The words of `land_requires`."""

    CHECKS = "checks"
    APPROVAL = "approval"
    CONVERSATIONS = "conversations"
    CODEOWNERS = "codeowners"


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who owns what a change touches: the lines of CODEOWNERS, the changed paths, and for which
    teams a login speaks."""

    lines: tuple[OwnerLine, ...] = ()
    paths: frozenset[str] = frozenset()
    teams: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unmet:
    """One thing that is missing. ``is_pending``: time alone may bring it, so waiting helps."""

    requirement: Requirement
    text: str
    is_pending: bool = False


def find_unmet(
    facts: PullRequestFacts,
    target: str,
    rules: BranchRules,
    wanted: Collection[Requirement] = (),
    owners: Ownership | None = None,
) -> tuple[Unmet, ...]:
    """Everything that keeps a pull request from ``target``; nothing means it may land."""
    found: list[Unmet] = []
    if rules.is_locked:
        found.append(Unmet(Requirement.CHECKS, f"{target} is locked: nothing may be merged there"))
    if not facts.is_complete and _needs_all_facts(facts, target, rules, wanted):
        what = "the forge did not show this login all checks, reviews and conversations"
        found.append(Unmet(Requirement.CHECKS, what, is_pending=True))
    found += _find_unmet_checks(facts, rules, every=Requirement.CHECKS in wanted)
    found += _find_missing_approval(facts, target, rules, wanted=Requirement.APPROVAL in wanted)
    if rules.codeowners or Requirement.CODEOWNERS in wanted:
        found += _find_missing_owners(facts, target, rules, owners or Ownership())
    if rules.conversations or Requirement.CONVERSATIONS in wanted:
        open_ones = [thread for thread in facts.threads if thread.path and not thread.is_resolved]
        if open_ones:
            first = open_ones[0]
            where = f"{first.path}:{first.line}" if first.line else first.path
            count = f"{len(open_ones)} conversation{'s' if len(open_ones) > 1 else ''}"
            verb = "are" if len(open_ones) > 1 else "is"
            text = f"{count} {verb} not resolved, the first at {where}"
            found.append(Unmet(Requirement.CONVERSATIONS, text))
    return tuple(found)


def _needs_all_facts(
    facts: PullRequestFacts, target: str, rules: BranchRules, wanted: Collection[Requirement]
) -> bool:
    """Whether something is wanted that facts with gaps may hide: not where no rule is known, nor
    for approvals of which the forge has the sum."""
    if wanted or rules.checks or rules.conversations:
        return True
    is_summed = facts.pr.base == target and facts.pr.review is not None
    return bool(rules.approvals or rules.codeowners) and not is_summed


def _find_unmet_checks(facts: PullRequestFacts, rules: BranchRules, *, every: bool) -> list[Unmet]:
    """Red and pending checks that count, and required ones that have not reported."""
    counted = [one for one in facts.checks if every or is_required(one, rules)]
    red = [one.name for one in counted if one.state in (CheckState.FAILURE, CheckState.CANCELLED)]
    waiting = [one.name for one in counted if one.state is CheckState.PENDING]
    silent = [name for name in rules.checks
              if not any(is_named(check, name) for check in facts.checks)]  # fmt: skip
    found = []
    if red:
        found.append(Unmet(Requirement.CHECKS, f"red: {', '.join(red)}"))
    if waiting:
        what = f"still at work: {', '.join(waiting)}"
        found.append(Unmet(Requirement.CHECKS, what, is_pending=True))
    if silent:
        what = f"not reported yet: {', '.join(silent)}"
        found.append(Unmet(Requirement.CHECKS, what, is_pending=True))
    if every and not facts.checks:
        found.append(Unmet(Requirement.CHECKS, "no check has reported yet", is_pending=True))
    return found


def is_required(check: CiCheck, rules: BranchRules) -> bool:
    """Whether protection wants a check: by the forge's own word, or by its name in the rules."""
    return bool(check.is_required) or any(is_named(check, name) for name in rules.checks)


def is_named(check: CiCheck, context: str) -> bool:
    """Whether a check is the one that rules call ``context``: they leave the workflow out."""
    return check.name == context or check.name.endswith(f" / {context}")


def list_optional_red(facts: PullRequestFacts, rules: BranchRules) -> list[str]:
    """The red checks that no rule wants: worth a warning."""
    return [one.name for one in facts.checks
            if one.state is CheckState.FAILURE and not is_required(one, rules)]  # fmt: skip


def read_last_verdicts(facts: PullRequestFacts) -> dict[str, Verdict]:
    """Login -> the last verdict of each person with write access; a mere comment changes none."""
    found: dict[str, Verdict] = {}
    for review in facts.reviews:
        if review.comment.may_write and review.verdict is not Verdict.COMMENTED:
            found[review.comment.author] = review.verdict
    return found


def _find_missing_approval(
    facts: PullRequestFacts, target: str, rules: BranchRules, *, wanted: bool
) -> list[Unmet]:
    verdicts = read_last_verdicts(facts)
    against = [who for who, verdict in verdicts.items() if verdict is Verdict.CHANGES_REQUESTED]
    own_sum = facts.pr.review if facts.pr.base == target else None  # of the base that it has now
    if against:
        return [Unmet(Requirement.APPROVAL, f"changes were requested by {', '.join(against)}")]
    if own_sum == "changes_requested":
        return [Unmet(Requirement.APPROVAL, "changes were requested in a review")]
    needed = max(rules.approvals, 1 if wanted else 0)
    given = sum(verdict is Verdict.APPROVED for verdict in verdicts.values())
    if own_sum == "approved" or (given >= needed and own_sum != "review_required"):
        return []
    if not needed:
        return [Unmet(Requirement.APPROVAL, "a review is required")] if own_sum else []
    text = f"{given} of {needed} approving review{'s' if needed > 1 else ''}"
    return [Unmet(Requirement.APPROVAL, text)]


def _find_missing_owners(
    facts: PullRequestFacts, target: str, rules: BranchRules, owners: Ownership
) -> list[Unmet]:
    if rules.codeowners and facts.pr.base == target and facts.pr.review == "approved":
        return []  # the forge has looked at the owners itself
    verdicts = read_last_verdicts(facts)
    yes = [who for who, verdict in verdicts.items() if verdict is Verdict.APPROVED]
    missing = list_unapproved_paths(owners.lines, owners.paths, yes, owners.teams)
    return [
        Unmet(Requirement.CODEOWNERS, f"{path} waits for an owner: {', '.join(names)}")
        for names, path in missing.items()
    ]


def describe_unmet(url: str, unmet: Collection[Unmet]) -> str:
    """What a pull request lacks, in one line that can stand as the reason of a change."""
    return f"{FORGE_WANTS} {url}: " + "; ".join(f"{one.requirement}: {one.text}" for one in unmet)
