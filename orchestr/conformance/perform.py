"""Play trials and judge what came of them: the agent is tried promise by promise.

Bounded: each `orchestr run` of a trial ends after `TRIAL_SECONDS` at the latest. Removes all it
made and ends all it started, whatever happens.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestr.conformance.evidence import Evidence
from orchestr.conformance.house import (
    FEATURE,
    TRIAL_SECONDS,
    House,
    Runner,
    Subject,
    run_orchestr,
)
from orchestr.conformance.judges import RED
from orchestr.conformance.model_server import ModelServer
from orchestr.conformance.promises import Needs, Promise, list_trials
from orchestr.conformance.script import Run, Turn
from orchestr.conformance.trials import Play, Trial
from orchestr.process.lease import read_lease

RUN = ("run", FEATURE, "--yes")


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a promise: ``kept`` is None where it cannot be tried; ``note`` says why not."""

    promise: str
    kept: bool | None
    note: str = ""


def play_trial(
    subject: Subject, trial: Trial, root: Path, runner: Runner = run_orchestr
) -> Evidence:
    """One trial in a workspace below ``root``, which must be empty. Ends all that it started."""
    with ModelServer(()) as model:
        play = Play(model)
        prose = subject.connect(model.url).prose
        script = trial.script if not prose or trial.prose is None else trial.prose
        model.script = [_fill_address(turn, model.url) for turn in script]
        if trial.repair:
            model.scripts[RED] = list(trial.repair)
        model.prose = prose
        model.fault = trial.fault(play)
        house = House(root, subject, trial, play)
        house.build()
        try:
            began = time.monotonic()
            code, output = _run_trial(house, runner)
            return house.gather(code, time.monotonic() - began, output)
        finally:
            model.ended.set()
            house.end()


def _fill_address(turn: Turn, url: str) -> Turn:
    return Run(turn.command.replace("{url}", url)) if isinstance(turn, Run) else turn


def _run_trial(house: House, runner: Runner) -> tuple[int, str]:
    """The run of a trial; with a signal in its middle, and a second run then."""
    env = house.make_env()
    if not house.trial.stop:
        return runner(RUN, house.root, env, TRIAL_SECONDS)
    said: list[tuple[int, str]] = []
    first = threading.Thread(
        target=lambda: said.append(runner(RUN, house.root, env, TRIAL_SECONDS)), daemon=True
    )
    first.start()
    end = time.monotonic() + TRIAL_SECONDS / 2
    model = house.play.model
    while first.is_alive() and time.monotonic() < end:
        if any(asked.turn == 1 for asked in model.asked):
            lease = read_lease(house.layout.lease_file(FEATURE))
            if lease is not None:
                with suppress(ProcessLookupError):
                    os.kill(lease.pid, house.trial.stop)
            break
        time.sleep(0.02)
    first.join(TRIAL_SECONDS / 2)
    house.play.until = time.time()  # the model answers again
    code, output = runner(RUN, house.root, env, TRIAL_SECONDS)
    first.join()
    return code, "".join(text for _, text in said) + output


def explain_untried(promise: Promise, lacks: Sequence[Needs]) -> str:
    """Why a promise cannot be tried with an agent that lacks these, else empty."""
    return next((str(need) for need in promise.needs if need in lacks), "")


def explain_no_start(seen: Evidence) -> str:
    """What kept the agent from being started at all: such a run proves nothing. Else empty."""
    if seen.list_events("attempt.started"):
        return ""
    lines = [line.strip() for line in seen.output.splitlines() if line.strip()]
    why = next((line for line in lines if "error:" in line), lines[-1] if lines else "no output")
    return f"it was not started: {why[:200]}"


def try_promises(
    subject: Subject,
    promises: Sequence[Promise],
    lacks: Sequence[Needs] = (),
    *,
    runner: Runner = run_orchestr,
    listen: Callable[[Finding], None] = lambda finding: None,
    place: Path | None = None,
) -> list[Finding]:
    """A finding for each promise, in their order; ``listen`` hears of each as it comes.

    ``place`` keeps the workspaces, a folder for each trial; else they are temporary.
    """
    found: list[Finding] = []
    tried = [p for p in promises if not explain_untried(p, lacks)]
    for promise in promises:
        why = explain_untried(promise, lacks)
        if why:
            found.append(Finding(promise.name, None, why))
            listen(found[-1])
    for trial in list_trials(tried):
        folder = Path(tempfile.mkdtemp(prefix="orchestr-trial-", dir=place)).resolve()
        try:
            seen = play_trial(subject, trial, folder, runner)
            for promise in tried:
                if promise.trial == trial.name:
                    note = explain_no_start(seen) or promise.judge(seen)
                    found.append(Finding(promise.name, not note, note))
                    listen(found[-1])
        finally:
            if place is None:
                shutil.rmtree(folder, ignore_errors=True)
    order = {promise.name: number for number, promise in enumerate(promises)}
    return sorted(found, key=lambda finding: order[finding.promise])
