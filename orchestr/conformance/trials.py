"""The behaviours of the scripted model and of its user that the promises are tried with.

Each trial is one workspace with one cell. What it holds is data; `perform.py` plays it.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestr.conformance.judges import GUIDE, MESSAGE
from orchestr.conformance.model_server import ModelServer
from orchestr.conformance.script import Asked, Fault, Run, Say, Turn, Write

PAUSE = 8.0  # seconds before an answer of a slow model
LIMIT_SECONDS = 4.0  # of a usage limit that says when it ends
BUDGET = 3150  # tokens: three answers
STEP = 'echo "$1" >> a.txt\n'
WORK_STEP = """\
echo one >> a.txt
echo more >> notes.txt
env > env.txt
setsid sleep 600 >/dev/null 2>&1 </dev/null &
git push origin HEAD:refs/heads/stray >/dev/null 2>&1
exit 0
"""
LONG = "seq 1 2000000\n"

Fault_ = Callable[["Play"], Callable[[Asked, int], Fault | Turn | None]]


@dataclass(slots=True)
class Play:
    """A trial while it is played: the model's server, and what its faults remember:
    ``refused`` is how often one was played."""

    model: ModelServer
    refused: int = 0
    until: float = 0.0

    def refuse(self, fault: Fault) -> Fault:
        """Count ``fault`` and play it."""
        self.refused += 1
        return fault


def play_well(_play: Play) -> Callable[[Asked, int], Fault | Turn | None]:
    """No fault."""
    return lambda _asked, _number: None


def _fail_times(fault: Fault, times: int) -> Fault_:
    """``fault`` at the second turn, so many times."""

    def make(play: Play) -> Callable[[Asked, int], Fault | Turn | None]:
        def answer(asked: Asked, _number: int) -> Fault | Turn | None:
            late = asked.turn == 1 and play.refused < times
            return play.refuse(fault) if late else None

        return answer

    return make


def limit_without_time(play: Play) -> Callable[[Asked, int], Fault | Turn | None]:
    """A usage limit at the second turn, for a while that it does not name."""

    def answer(asked: Asked, _number: int) -> Fault | Turn | None:
        now = time.time()
        if asked.turn != 1 or (play.until and now >= play.until):
            return None
        play.until = play.until or now + LIMIT_SECONDS
        return play.refuse(Fault(429))

    return answer


def limit_with_time(play: Play) -> Callable[[Asked, int], Fault | Turn | None]:
    """A usage limit at the second turn that says when it ends, in headers and in words."""

    def answer(asked: Asked, _number: int) -> Fault | Turn | None:
        now = time.time()
        if asked.turn != 1 or (play.until and now >= play.until):
            return None
        play.until = play.until or now + LIMIT_SECONDS
        seconds = max(1, round(play.until - now))
        headers = {
            "retry-after": str(seconds),
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-reset": str(round(play.until)),
            "anthropic-ratelimit-unified-representative-claim": "five_hour",
            "anthropic-ratelimit-unified-overage-status": "rejected",
        }
        words = f"You have reached your usage limit. Please try again in {seconds}s."
        return play.refuse(Fault(429, headers=headers, message=words))

    return answer


def never_answer(play: Play) -> Callable[[Asked, int], Fault | Turn | None]:
    """Silence."""
    return lambda _asked, _number: play.refuse(Fault(500, hang=600.0))


def cut_once(play: Play) -> Callable[[Asked, int], Fault | Turn | None]:
    """The second answer ends at the greatest length of one, in the middle of a sentence."""

    def answer(asked: Asked, _number: int) -> Fault | Turn | None:
        if asked.turn != 1 or play.refused:
            return None
        play.refused += 1
        return Say("Now I will write the second", cut=True)

    return answer


def hold_second(play: Play) -> Callable[[Asked, int], Fault | Turn | None]:
    """The second turn waits until the run was stopped (``until`` is set then)."""

    def answer(asked: Asked, _number: int) -> Fault | Turn | None:
        end = time.monotonic() + 60
        while asked.turn == 1 and not play.until and time.monotonic() < end:
            if play.model.ended.wait(0.02):
                break
        return None

    return answer


def answer_slowly(play: Play) -> Callable[[Asked, int], Fault | Turn | None]:
    """Two answers after the budget take as long as a model's do: so long others can look at the
    sum. An agent whose sum cannot be seen plays on."""

    def answer(_asked: Asked, _number: int) -> Fault | Turn | None:
        if play.model.answers * MESSAGE >= BUDGET and play.refused < 2:
            play.refused += 1
            play.model.ended.wait(PAUSE)
        return None

    return answer


@dataclass(frozen=True, slots=True)
class Trial:
    """One workspace: what the model plays, and what is set.

    ``script`` and ``fault`` are the model's, ``repair`` its script for the prompt of a red check
    (the first turn is due only in a new session), ``prose`` for a model without tools (None: not
    for such a one). ``{url}`` in a command is the model's server. ``limits`` and ``checks`` go into
    the settings and the spec, ``files`` into the repository. ``stop`` is the signal that the run
    gets at the second turn, before it is started again. ``lingers``: the program stays after its
    end.
    """

    name: str
    script: tuple[Turn, ...]
    fault: Fault_ = play_well
    repair: tuple[Turn, ...] = ()
    prose: tuple[Turn, ...] | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Mapping[str, Any], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    stop: int = 0
    lingers: bool = False


ONE, TWO, DONE = Run("sh step.sh one"), Run("sh step.sh two"), Say("Done.")
STEPS = (ONE, TWO, DONE)
BOTH = (Write("a.txt", "one\ntwo\n"), DONE)
FILES = {
    "notes.txt": "notes\n",
    "step.sh": STEP,
    "work.sh": WORK_STEP,
    "long.sh": LONG,
    "AGENTS.md": f"# For agents\n\nThe word of this repository is {GUIDE}.\n",
}
GOOD = {"kind": "command", "name": "good", "run": ["grep", "-q", "good", "a.txt"]}

TRIALS: Mapping[str, Trial] = {
    trial.name: trial
    for trial in (
        Trial(
            "work",
            (
                Run("sh work.sh"),
                Run("curl -s {url}/stray"),
                Run("git commit --no-verify -q -a -m unasked"),
                TWO,
                DONE,
            ),
            prose=BOTH,
        ),
        Trial(
            "repair",
            (Run("sh step.sh bad"), DONE),
            repair=(TWO, Run("cp good.txt a.txt"), Say("Repaired.")),
            checks=(GOOD,),
            files={"good.txt": "good\n"},
        ),
        Trial("limit-time", STEPS, limit_with_time),
        Trial("limit", STEPS, limit_without_time),
        Trial("server-error", STEPS, _fail_times(Fault(503), 4)),
        Trial("dropped", STEPS, _fail_times(Fault(200, drop=True), 2)),
        Trial("cut", STEPS, cut_once),
        Trial(
            "silence", STEPS, never_answer, prose=BOTH, limits={"idle_timeout": "4s", "grace": "1s"}
        ),
        Trial(
            "hang",
            STEPS,
            prose=BOTH,
            lingers=True,
            limits={"after_result": "2s", "idle_timeout": "30s", "grace": "1s"},
        ),
        Trial("long", (Run("sh long.sh"), *STEPS)),
        Trial("int", STEPS, hold_second, stop=signal.SIGINT),
        Trial("term", STEPS, hold_second, stop=signal.SIGTERM),
        Trial("kill", STEPS, hold_second, stop=signal.SIGKILL),
        Trial(
            "budget",
            (*(Run(f"sh step.sh {number}") for number in range(15)), DONE),
            answer_slowly,
            limits={"attempt_tokens": BUDGET, "grace": "1s"},
        ),
    )
}


def write_spec(trial: Trial, agent: str) -> str:
    """The spec of a trial, as YAML (which JSON is)."""
    cell: dict[str, Any] = {"repo": "app", "todo": ["Play the script."]}
    if trial.checks:
        cell["checks"] = [dict(check) for check in trial.checks]
    value = {
        "apiVersion": "orchestr/v1",
        "kind": "Feature",
        "metadata": {"name": "trial", "title": "A trial of an agent"},
        "defaults": {"agent": agent},
        "cells": {"a": cell},
    }
    return json.dumps(value, indent=2) + "\n"
