"""Before a run, and for `validate`: options that an agent of a spec cannot be given.

What the settings say alone is checked when they are read; a spec is read without the agents' kinds,
so what it asks of them is looked at here, with its place.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from orchestr.agents.catalogue import find_configured
from orchestr.cell.agent_chain import list_workers
from orchestr.cell.agent_options import own_phase_options, planned_options, reviewer_options
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.errors import Problem
from orchestr.run.diagnostic import Diagnostic
from orchestr.settings.agent_checks import list_refusals
from orchestr.settings.machine_records import McpServer
from orchestr.settings.records import AgentSettings, Settings
from orchestr.spec.agent_options import (
    AUTHOR_ROLES,
    ROUNDS,
    AgentOptions,
    Role,
    RoleOptions,
)
from orchestr.spec.checks import Reviewer
from orchestr.spec.locate import locate_first_fields
from orchestr.spec.phases import Action
from orchestr.spec.records import Cell, Feature

Paths = list[list[str | int]]  # of which the file states one
Refusal = tuple[Paths, str, str | None]


def list_option_problems(feature: Feature, settings: Settings, root: Path) -> list[Problem]:
    """What a spec asks of agents that they cannot be given, each at its line. ``root``: the
    workspace."""
    found = list(dict.fromkeys(_freeze(one) for one in _list_refusals(feature, settings)))
    places = locate_first_fields(root, feature.path, [paths for paths, _, _ in found])
    problems = [
        Problem(*place, _name_path(paths[0]), message, hint)
        for place, (paths, message, hint) in zip(places, found, strict=True)
    ]
    return list({(p.file, p.line, p.column, p.message): p for p in problems}.values())


def _name_path(path: Sequence[str | int]) -> str:
    """`cells.a.reviewers[0].effort`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _freeze(one: Refusal) -> tuple[tuple[tuple[str | int, ...], ...], str, str | None]:
    paths, message, hint = one
    return tuple(map(tuple, paths)), message, hint


def _list_refusals(feature: Feature, settings: Settings) -> Iterator[Refusal]:
    for cell in feature.cells:
        if cell.action is not Action.AGENT:
            continue
        yield from _check_cell(cell, settings)
    for index, auditor in enumerate(feature.auditors):
        for name, why, hint in _refuse(settings, auditor.agent, auditor.options):
            yield [["auditors", index, name]], why, hint


def _check_cell(cell: Cell, settings: Settings) -> Iterator[Refusal]:
    author = cell.agent or settings.default_agent or ""
    for entry in cell.options:
        agents = [author]
        if entry.role is Role.REVIEW:
            agents = list(dict.fromkeys(one.agent for one in cell.proof.reviewers))
        for agent in agents:
            for name, why, hint in _refuse(settings, agent, entry.options):
                yield _paths_of(cell.name, entry, name), why, hint
    for index, reviewer in enumerate(cell.proof.reviewers):
        for name, why, hint in _refuse(settings, reviewer.agent, reviewer.options):
            steps: list[str | int] = ["reviewers", index, name]
            yield [["cells", cell.name, *steps], ["defaults", *steps]], why, hint


def _paths_of(cell: str, entry: RoleOptions, name: str) -> Paths:
    more: list[str | int] = [ROUNDS] if entry.since > 1 else [name]
    steps: list[str | int] = ["options", entry.role.value, *more]
    return [["cells", cell, *steps], ["defaults", *steps]]


def _refuse(
    settings: Settings, agent: str, options: AgentOptions
) -> Iterator[tuple[str, str, str | None]]:
    known = settings.agents.get(agent)
    if known is None:  # reported where it is named
        return
    for name, why, hint in list_refusals(known.kind, options, settings.mcp):
        yield name, f"agent {agent}: {why}", hint


def check_options(cells: Sequence[CellContext]) -> list[Diagnostic]:
    """What the agents that are about to start cannot be given: of the spec, with its place, and of
    the command line."""
    if not cells:
        return []
    run = cells[0].run
    found = [
        Diagnostic("error", f"{problem.location}: {problem.message}", problem.hint or "")
        for problem in list_option_problems(run.feature, run.settings, run.layout.root)
    ]
    known = {one.what.partition(": ")[2] for one in found}
    for what, hint in dict.fromkeys(_list_typed(run, cells)):
        if what not in known:
            found.append(Diagnostic("error", what, hint or ""))
    missing = (
        (name, agent)
        for agent, options in _list_asked(run, cells)
        for name in options.mcp or ()
        if name in run.settings.mcp and agent in run.settings.agents
    )
    for name, agent in sorted(set(missing)):
        found += check_server(run.settings.mcp[name], run.settings.agents[agent], os.environ)
    return found


def check_server(
    server: McpServer, agent: AgentSettings, environ: Mapping[str, str]
) -> Iterator[Diagnostic]:
    """Warnings for a server that cannot work: an agent goes on without it and says nothing."""
    what = f"agent {agent.name}: MCP server {server.name}"
    program = find_configured(agent) if agent.kind == "acp" else None
    if program is not None and not program.mcp:
        fix = "take it out of `mcp`, or choose another agent for this work"
        yield Diagnostic("warning", f"{what}: {program.title} shows its tools to no model", fix)
    for variable in (*server.pass_env, *filter(None, [server.token_env])):
        if variable not in environ and variable not in agent.env:
            fix = f"set it, or take it out of [mcp.{server.name}]"
            yield Diagnostic("warning", f"{what} gets {variable}, which is not set here", fix)
    word = server.command[0] if server.command else ""
    if word and "/" not in word and shutil.which(word) is None:
        fix = f"install it, or change [mcp.{server.name}] command"
        yield Diagnostic("warning", f"{what}: program {word!r} is not on PATH", fix)


def _list_typed(run: FeatureRun, cells: Sequence[CellContext]) -> Iterator[tuple[str, str | None]]:
    """Refusals of all that would be asked for, the command line's among them."""
    for agent, options in _list_asked(run, cells):
        for _, why, hint in _refuse(run.settings, agent, options):
            yield why, hint


def _list_asked(run: FeatureRun, cells: Sequence[CellContext]) -> list[tuple[str, AgentOptions]]:
    """What the agents of these cells, and auditors, would be asked for."""
    asked: list[tuple[str, AgentOptions]] = []
    readers: list[tuple[Reviewer, CellContext | None]] = [(a, None) for a in run.feature.auditors]
    for ctx in cells:
        if ctx.cell.action is Action.AGENT:
            asked += [
                (name, planned_options(ctx, role, agent=name).options)
                for name in dict.fromkeys((ctx.agent_settings.name, *list_workers(ctx)))
                for role in AUTHOR_ROLES
            ]
            readers += [(one, ctx) for one in ctx.cell.proof.reviewers]
        for phase in ctx.cell.own_phases:
            if not phase.run:
                agent = phase.agent or ctx.agent_settings.name
                asked.append((agent, own_phase_options(run, agent)))
    asked += [(one.agent, reviewer_options(run, one, ctx).options) for one, ctx in readers]
    return asked
