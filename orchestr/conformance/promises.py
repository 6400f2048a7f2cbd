"""The promises: what each agent must keep, in plain words, tried by which trial, judged how.

The one declaration: `orchestr doctor --agent`, `tests/conformance` and the table in docs/agents.md
are made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from orchestr.conformance import judges
from orchestr.conformance.evidence import Evidence
from orchestr.conformance.trials import BUDGET, TRIALS, Trial

Judge = Callable[[Evidence], str]


class Needs(StrEnum):
    """What of an agent a promise needs to be tried at all; the value says why it cannot."""

    TOOLS = "its model calls no tools"
    RESULT = "it reports no result: its end is its exit"
    MODEL = "it is not known how its model is replaced"


@dataclass(frozen=True, slots=True)
class Promise:
    """``text`` says what is promised, for people; ``trial`` is played and ``judge`` looks at what
    came of it. ``needs`` are what cannot be done without."""

    name: str
    text: str
    trial: str
    judge: Judge
    needs: tuple[Needs, ...] = (Needs.MODEL, Needs.TOOLS)


_MODEL = (Needs.MODEL,)

PROMISES: tuple[Promise, ...] = (
    Promise("work", "its work arrives, once and whole", "work", judges.judge_work, _MODEL),
    Promise("guide", "AGENTS.md reaches the model", "work", judges.judge_guide, _MODEL),
    Promise("cost", "the ledger has the server's own count", "work", judges.judge_cost, _MODEL),
    Promise("secrets", "no token of a forge reaches its tools", "work", judges.judge_secrets),
    Promise("push", "it cannot push", "work", judges.judge_push),
    Promise("refused-tool", "a command outside of its rules does not run, the work goes on",
            "work", judges.judge_refused_tool),
    Promise("refused-commit", "a commit past the hooks is refused, the work arrives",
            "work", judges.judge_refused_commit),
    Promise("survivors", "no process outlives the run", "work", judges.judge_survivors, ()),
    Promise("strays", "it contacts its model's server only", "work", judges.judge_strays, _MODEL),
    Promise("repair", "a red check is repaired in the same session", "repair",
            judges.judge_repair),
    Promise("limit-time", "a usage limit with a time is waited for in the same session",
            "limit-time", judges.judge_waiting),
    Promise("limit", "a usage limit without a time is waited for in the same session", "limit",
            judges.judge_waiting),
    Promise("server-error", "errors 503 of the server are waited for in the same session",
            "server-error", judges.judge_resumed),
    Promise("dropped", "a dropped stream is no failure", "dropped", judges.judge_resumed),
    Promise("cut", "an answer that was cut off is no success", "cut", judges.judge_cut_answer),
    Promise("silence", "a server that never answers ends it by `idle_timeout`", "silence",
            judges.judge_silence, _MODEL),
    Promise("hang", "hanging after its result is ended, the work counts", "hang",
            judges.judge_hang, (Needs.MODEL, Needs.RESULT)),
    Promise("long", "14 MB of output of a tool fill nothing", "long", judges.judge_long_output),
    Promise("int", "interrupted (Ctrl+C), it is finished by the next run, nothing twice", "int",
            judges.judge_stopped),
    Promise("term", "terminated, it is finished by the next run, nothing twice", "term",
            judges.judge_stopped),
    Promise("kill", "killed, its agent is adopted by the next run and paid once", "kill",
            judges.judge_adopted),
    Promise("budget", "a budget in tokens is held to within one message", "budget",
            lambda seen: judges.judge_budget(seen, BUDGET)),
)  # fmt: skip


def find_promise(name: str) -> Promise:
    """The promise of that name. Raises KeyError."""
    return next(p for p in PROMISES if p.name == name)


def list_trials(promises: Iterable[Promise]) -> list[Trial]:
    """The trials that these promises need, each once, in order."""
    return [TRIALS[name] for name in dict.fromkeys(p.trial for p in promises)]
