"""When an agent waits for its provider: usage limits, and trouble of servers and networks.

Both pause the provider: no agent of it starts until then, and the attempt goes on with the same
session afterwards. A limit is waited for as long as it lasts. Trouble is waited for up to
`retry_for` from its first sign, counted anew whenever the agent got on meanwhile, but no more than
`MOST_CUTS` times: what an agent pays for and loses again and again does not go on until morning.

What survives a crash: `trouble.json` in the agent's folder says since when; the pause itself is a
file of the provider's. The same end that is judged again after a kill changes neither.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestr.agents import AgentVerdict
from orchestr.cell.agent.agent_work import AgentWork
from orchestr.cell.agent.launch import prepare_next_start
from orchestr.cell.context import CellContext
from orchestr.errors import AgentUnusable, CorruptState
from orchestr.files import read_json, write_json
from orchestr.state.events import EventKind
from orchestr.supervisor import client
from orchestr.supervisor.client import AttemptState

LONGEST = 366 * 86400.0  # s: no provider means a later time
POLL = 0.2  # s, while waiting for the end of a pause
MOST_CUTS = 20  # times that an agent got on, and met trouble again before a good end
TROUBLE = "trouble.json"
LIMIT = "limit.json"  # the same of a usage limit
TROUBLE_OVER = (
    "The connection to your model was lost and is back. Go on where you stopped: your task and its "
    "rules are the same, and what you had changed is still there (`git status` shows it).\n"
)


@dataclass(frozen=True, slots=True)
class TroubleRecord:
    """Since when (Unix time) an agent's provider is in trouble; ``tokens`` the attempt's then,
    ``cuts`` how often the agent had got on between troubles."""

    since: float
    tokens: int
    cuts: int = 0


def decide_trouble(
    known: TroubleRecord | None, tokens: int, now: float, allowed: float
) -> TroubleRecord | None:
    """The record of trouble that is waited for; None when it has lasted ``allowed`` seconds.

    Pure. An agent that has taken more tokens since the last time got an answer in between, so it is
    new trouble.
    """
    if known is None:
        return TroubleRecord(now, tokens)
    if tokens > known.tokens:
        return TroubleRecord(now, tokens, known.cuts + 1)
    return known if now - known.since < allowed else None


def pause_for_limit(ctx: CellContext, work: AgentWork, verdict: AgentVerdict) -> None:
    """Pause the agent's pool; the attempt goes on with the same session afterwards."""
    until = verdict.limited_until
    if until is not None and not 0 < until - time.time() < LONGEST:
        until = None  # a reset that is over already, and refused all the same; or no time at all
    used = verdict.tokens
    known, tokens = _read_trouble(work.folder / LIMIT), used.input + used.output if used else 0
    record = decide_trouble(known, tokens, time.time(), math.inf)
    if record is not None and record != known:
        write_json(work.folder / LIMIT, asdict(record))
    _pause_provider(ctx, work, until, "", again=record == known)
    prepare_next_start(work.folder, verdict.session_id)


def refuse_long_wait(ctx: CellContext, work: AgentWork) -> None:
    """Raises AgentUnusable where another agent follows and the provider of this one pauses for
    longer than `max_wait`, counted from the first refusal since it last got on."""
    until, now = ctx.provider_pause(work.agent).paused_until(), time.time()
    if work.max_wait is None or until <= now:
        return
    if client.read_attempt_state(work.folder) is not AttemptState.NEVER_STARTED:
        return
    known = _read_trouble(work.folder / LIMIT)
    wait = until - (known.since if known is not None else now)
    if wait > work.max_wait:
        provider = ctx.run.settings.agents[work.agent].limit_pool
        reason = ctx.provider_pause(work.agent).reason or f"usage limit of {provider}"
        raise AgentUnusable(
            f"{reason} for {wait:.0f} s, longer than max_wait ({work.max_wait:g} s)", cell=ctx.name
        )


def pause_for_trouble(ctx: CellContext, work: AgentWork, verdict: AgentVerdict) -> str | None:
    """As `pause_for_limit`, for trouble of a server or the network. Returns why it is not waited
    for any longer, None when the attempt goes on."""
    settings, path = ctx.run.settings.agents[work.agent], work.folder / TROUBLE
    used = verdict.tokens
    tokens = 0 if used is None else used.input + used.output
    known = _read_trouble(path)
    record = decide_trouble(known, tokens, time.time(), settings.retry_for)
    if record is None:
        return f"{verdict.reason}; its provider did not recover in {settings.retry_for:g} s"
    if record.cuts > MOST_CUTS:
        return f"{verdict.reason}; that cut it off {record.cuts} times after it had got on"
    if record != known:
        write_json(path, asdict(record))
        if record.cuts:
            ctx.provider_pause(work.agent).reset_backoff()
    _pause_provider(ctx, work, None, f"{settings.limit_pool} in trouble: {verdict.reason}")
    prepare_next_start(work.folder, verdict.session_id, TROUBLE_OVER)
    return None


def end_trouble(ctx: CellContext, work: AgentWork) -> None:
    """The agent came to a good end: its provider is well, and later trouble is new."""
    ctx.provider_pause(work.agent).reset_backoff()
    (work.folder / TROUBLE).unlink(missing_ok=True)


def wait_for_provider(ctx: CellContext, work: AgentWork) -> None:
    """Hold no slot while the provider says "not now"; an agent at work is not waited for.

    Where another cell was refused, this one is shown as waiting, too.
    """
    pause, who = ctx.provider_pause(work.agent), f"{ctx.cell.name}/{work.part}"
    until, shown = pause.paused_until(), ctx.run.waits.get(who)
    if (
        until > 0
        and until != shown
        and client.read_attempt_state(work.folder) is AttemptState.NEVER_STARTED
    ):
        ctx.run.waits[who] = until
        provider = ctx.run.settings.agents[work.agent].limit_pool
        _emit_pause(ctx, work, until, pause.reason or f"usage limit of {provider}")
    while (
        pause.paused_until() > 0
        and client.read_attempt_state(work.folder) is AttemptState.NEVER_STARTED
    ):
        ctx.check_cancelled()
        ctx.run.stop.wait(min(POLL, max(0.01, pause.paused_until() - time.time())))


def _pause_provider(
    ctx: CellContext, work: AgentWork, until: float | None, reason: str, *, again: bool = False
) -> None:
    refusal = f"{work.marker}/{len(list(work.folder.glob('exit.*.json'))) + 1}"
    pause = ctx.provider_pause(work.agent)
    until = pause.extend(until, refusal=refusal, reason=reason, again=again)
    ctx.run.waits[f"{ctx.cell.name}/{work.part}"] = until
    _emit_pause(ctx, work, until, reason)


def _emit_pause(ctx: CellContext, work: AgentWork, until: float, reason: str) -> None:
    more = {"reason": reason} if reason else {}
    wait = round(until - time.time(), 1)
    work.emit(ctx, EventKind.ATTEMPT_LIMITED, until=until, wait_s=wait, agent=work.agent, **more)


def _read_trouble(path: Path) -> TroubleRecord | None:
    with suppress(CorruptState, KeyError, TypeError, ValueError):
        raw = read_json(path)
        return TroubleRecord(float(raw["since"]), int(raw["tokens"]), int(raw.get("cuts", 0)))
    return None
