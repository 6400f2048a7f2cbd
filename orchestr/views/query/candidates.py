"""What attempts side by side came to, in words. Reads files only."""

from __future__ import annotations

from orchestr.cell.candidate import list_candidates
from orchestr.cell.context import CellContext
from orchestr.state import attempts
from orchestr.state.candidates import CandidateGroup, CandidateResult, CandidateState
from orchestr.views.terminal.text import format_count, format_dollars, format_tokens


def describe_candidates(ctx: CellContext) -> tuple[str, ...]:
    """Lines about those that are at work, or of which one was taken last; none without."""
    working = list_candidates(ctx)
    if working:
        places = ", ".join(str(one.worktree) for one in working)
        return (f"{len(working)} attempts side by side, none is taken yet: {places}",)
    numbers = reversed(attempts.attempt_numbers(ctx.dir))
    kept = (CandidateGroup.read_kept(ctx.dir, number) for number in numbers)
    group = next((one for one in kept if one is not None), None)
    if group is None:
        return ()
    winner, count = group.winner, len(group.results)
    first = f"none of {count} attempts side by side made a result"
    if winner is not None:
        first = f"attempt {winner.attempt} of {count} side by side was taken: {group.why}"
    return (first, *(f"- {_describe_result(one)}" for one in group.results))


def _describe_result(one: CandidateResult) -> str:
    """`attempt 2 by codex: green, $0.12, 5,301 tokens, 14 changed lines`."""
    parts = [str(one.state)]
    parts += [format_dollars(one.usd, complete=True)] if one.usd else []
    parts += [f"{format_tokens(one.tokens)} tokens"] if one.tokens else []
    made = one.state is not CandidateState.FAILED
    parts += [format_count(one.lines, "changed line")] if made else []
    why = f": {one.reason}" if one.reason else ""
    number = f"attempt {one.attempt}" if one.attempt else f"place {one.place}"
    return f"{number} by {one.agent}: {', '.join(parts)}{why}"
