"""All attempts, group by group."""

from __future__ import annotations

from benchmarks.escape.attempt import Attempt
from benchmarks.escape.attempts import (
    clone_files,
    clone_refs,
    evidence,
    home,
    network,
    other_agents,
    processes,
    pushes,
    resources,
    secrets,
    state,
    terminal,
)

ATTEMPTS: tuple[Attempt, ...] = (
    *secrets.ATTEMPTS,
    *clone_files.ATTEMPTS,
    *clone_refs.ATTEMPTS,
    *pushes.ATTEMPTS,
    *evidence.ATTEMPTS,
    *state.ATTEMPTS,
    *other_agents.ATTEMPTS,
    *processes.ATTEMPTS,
    *home.ATTEMPTS,
    *network.ATTEMPTS,
    *terminal.ATTEMPTS,
    *resources.ATTEMPTS,
)
