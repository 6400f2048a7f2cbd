"""`agents.lock.toml`: which agents a team works with, their programs' versions and models.

It lies beside `orchestr.toml`, to be committed. `orchestr doctor --lock-agents` writes it, nothing
else does: a lock that follows by itself records what happened, and says nothing of what was agreed.
What differs is a note before a run and in `plan`, never a refusal: agents renew themselves, and
results do not become worse by it. The facts are those that an attempt's start records
(`orchestr.provenance`): the adapter's `program_version`, and the model that is asked for.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from orchestr.cell.agent.own_attempt import choose_agent
from orchestr.cell.agent_chain import list_workers
from orchestr.cell.agent_options import list_author_models, reviewer_options
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.codec import InvalidRecord, Record, decode, encode
from orchestr.errors import UsageError
from orchestr.files import encode_toml, read_file, write_if_changed
from orchestr.run.cell_agents import requested_reviewers
from orchestr.run.diagnostic import Diagnostic
from orchestr.spec.phases import Action
from orchestr.state.layout import AGENTS_LOCK

WRITE = "orchestr doctor --lock-agents"
HEAD = f"# The agents of this workspace. Commit it; {WRITE} writes it again.\n"
VERSION = 1


class AgentFacts(Record, frozen=True):
    """What is known of an agent. ``version``: of its program, "" where it reports none; ``models``
    that are asked for by name, sorted; the others are the agent's own choice."""

    kind: str = ""
    version: str = ""
    models: tuple[str, ...] = ()


class AgentsLock(Record, frozen=True):
    """The file."""

    schema: int = VERSION
    agents: Mapping[str, AgentFacts] = {}


def list_differences(
    locked: Mapping[str, AgentFacts], current: Mapping[str, AgentFacts]
) -> Iterator[str]:
    """What differs, in words, for each of the ``current`` agents. Pure. Fewer models than locked
    are no difference: another feature uses them."""
    for name, now in sorted(current.items()):
        before = locked.get(name)
        if before is None:
            yield f"agent {name} is not in {AGENTS_LOCK}"
            continue
        if now.kind != before.kind:
            yield f"agent {name} is of kind {now.kind}, locked is {before.kind}"
        if now.version != before.version:
            yield (
                f"agent {name} has version {now.version or 'unknown'}, locked is "
                f"{before.version or 'unknown'}"
            )
        for model in sorted(set(now.models) - set(before.models)):
            known = ", ".join(before.models) or "none by name"
            yield f"agent {name} is asked for model {model}, locked: {known}"


def read_agents_lock(root: Path) -> AgentsLock | None:
    """The lock of the workspace, None without one. Raises UsageError for a file that is no lock."""
    path = root / AGENTS_LOCK
    try:
        return decode(tomllib.loads(read_file(path).decode()), AgentsLock)
    except FileNotFoundError:
        return None
    except (InvalidRecord, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {error}", hint=f"{WRITE} writes it again") from None


def write_agents_lock(root: Path, agents: Mapping[str, AgentFacts]) -> bool:
    """Write the lock by rename. Returns whether it changed."""
    lock = AgentsLock(agents=dict(sorted(agents.items())))
    return write_if_changed(root / AGENTS_LOCK, HEAD.encode() + encode_toml(encode(lock)))


def gather_agents(cells: Iterable[CellContext]) -> dict[str, AgentFacts]:
    """The agents that work on these cells, in phases of one's own too, review them, and audit their
    features. Asks their programs for versions."""
    models: dict[str, set[str]] = {}
    run: FeatureRun | None = None

    def add_models(run: FeatureRun, name: str, asked: Iterable[str | None]) -> None:
        chosen, usual = models.setdefault(name, set()), run.settings.agents[name].model
        chosen |= {model or usual or "" for model in asked} - {""}

    for ctx in cells:
        run = ctx.run
        if ctx.cell.action is Action.AGENT:
            for name in dict.fromkeys((ctx.agent_settings.name, *list_workers(ctx))):
                add_models(run, name, list_author_models(ctx, name))
        for cell, readers in ((ctx, requested_reviewers(ctx)), (None, run.feature.auditors)):
            for one in readers:
                add_models(run, one.agent, [reviewer_options(run, one, cell).options.model])
        for phase in ctx.cell.own_phases:
            if not phase.run:
                name, model = choose_agent(ctx, phase)
                add_models(run, name, [model])
    return {
        name: AgentFacts(
            run.settings.agents[name].kind,
            run.agent_adapter(name).program_version() or "",
            tuple(sorted(asked)),
        )
        for name, asked in models.items()
        if run is not None
    }


def merge_agents(found: Sequence[Mapping[str, AgentFacts]]) -> dict[str, AgentFacts]:
    """The agents of several features: all models of each."""
    merged: dict[str, AgentFacts] = {}
    for agents in found:
        for name, facts in agents.items():
            known = merged.get(name, facts)
            models = tuple(sorted({*known.models, *facts.models}))
            merged[name] = AgentFacts(facts.kind, facts.version, models)
    return merged


def check_agents_lock(root: Path, cells: Sequence[CellContext]) -> list[Diagnostic]:
    """What of the cells' agents is not as locked; without a lock, nothing."""
    try:
        lock = read_agents_lock(root)
    except UsageError as error:
        return [Diagnostic("warning", error.message, error.hint or "")]
    if lock is None:
        return []
    fix = f"{WRITE}, when that is meant"
    return [Diagnostic("note", what, fix)
            for what in list_differences(lock.agents, gather_agents(cells))]  # fmt: skip
