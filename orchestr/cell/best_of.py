"""Which of several attempts at the same work is taken (`best_of`). Pure.

The best state counts first: green, then blocked by reviewers, then red. Among green ones the
cheapest wins: by dollars where each of them says some, else by tokens where each says some. Among
those that are not, the one with the least to repair. One that says that nothing is to be changed
comes after those that changed something: it is always cheap. What is equal then goes to the fewer
changed lines, then to the lower number.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestr.state.candidates import CandidateResult, CandidateState

_ORDER = tuple(CandidateState)


def choose_candidate(results: Sequence[CandidateResult]) -> CandidateResult | None:
    """The one whose work becomes the cell's; None where none has any."""
    made = [one for one in results if one.state is not CandidateState.FAILED]
    if not made:
        return None
    best = min(_ORDER.index(one.state) for one in made)
    equals = [one for one in made if _ORDER.index(one.state) == best]
    by_usd, by_tokens = _are_priced(equals), all(one.tokens for one in equals)

    def rank(one: CandidateResult) -> tuple[float, ...]:
        cost = one.usd if by_usd else float(one.tokens) if by_tokens else 0.0
        return (one.lines == 0, one.red, one.blockers, cost, one.lines, one.place)

    return min(equals, key=rank)


def _are_priced(results: Sequence[CandidateResult]) -> bool:
    return all(one.usd > 0 for one in results)


def explain_choice(results: Sequence[CandidateResult], chosen: CandidateResult) -> str:
    """Why it is the best, in a few words for people."""
    equals = [one for one in results if one.state is chosen.state and one is not chosen]
    state = {
        CandidateState.GREEN: "green",
        CandidateState.BLOCKED: "green but for reviewers",
        CandidateState.RED: "red",
    }.get(chosen.state, str(chosen.state))
    if not equals:
        return f"the only one that is {state}"
    near = [one for one in equals if (one.red, one.blockers) == (chosen.red, chosen.blockers)]
    if not near:
        return f"{state}, with the least to repair"
    group = [chosen, *equals]
    if _are_priced(group) and any(one.usd != chosen.usd for one in near):
        return f"{state}, and the cheapest"
    by_tokens = not _are_priced(group) and all(one.tokens for one in group)
    if by_tokens and any(one.tokens != chosen.tokens for one in near):
        return f"{state}, with the fewest tokens"
    if any(one.lines != chosen.lines for one in near):
        return f"{state}, with the fewest changed lines"
    return f"{state}, and the first of equals"
