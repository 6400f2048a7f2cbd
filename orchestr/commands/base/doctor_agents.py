"""What `doctor` does with agents only: `--agent NAME` tries one, `--lock-agents` notes all."""

from __future__ import annotations

import json

from orchestr.agents.catalogue import suggest_install
from orchestr.conformance.perform import Finding
from orchestr.conformance.table import finding_line, findings_json
from orchestr.errors import SpecError, UsageError
from orchestr.run.try_agent import describe_trials, read_request, try_agent
from orchestr.run.workspace import Session
from orchestr.state.layout import AGENTS_LOCK
from orchestr.views.terminal.output import print_stderr, write_stdout


def print_agent_trial(session: Session, name: str, endpoint: str = "", *, as_json: bool) -> int:
    """Try the agent and print what was found. Exit 1 when a promise is not kept."""
    request, version = read_request(session, name, endpoint)
    print_stderr(describe_trials(request))

    def show(finding: Finding) -> None:
        if not as_json:
            write_stdout(finding_line(finding) + "\n")

    if not as_json:
        write_stdout(f"agent {name}, version {version or 'unknown'}\n")
    findings, network = try_agent(request, show)
    value = findings_json(name, version, findings, network)
    if as_json:
        write_stdout(json.dumps(value, indent=2) + "\n")
    else:
        write_stdout(
            f"{value['kept']} kept, {value['not_kept']} not, {value['untried']} cannot be tried; "
            f"{network}\n"
        )
    return 1 if value["not_kept"] else 0


def lock_agents(session: Session) -> int:
    """Write `agents.lock.toml` for all features. Raises SpecError for a spec that cannot be read,
    UsageError for an agent that cannot be used: its version would be missing without a word."""
    from orchestr.run.agents_lock import gather_agents, merge_agents, write_agents_lock

    if session.specs.problems:
        raise SpecError(session.specs.problems)
    runs = [session.load_run(name) for name in session.specs.features]
    agents = merge_agents(
        [gather_agents([run.cell_context(p.name) for p in run.plan.cells]) for run in runs]
    )
    for name in agents:
        why = runs[0].agent_adapter(name).explain_unusable()
        if why is not None:
            hint = suggest_install(session.settings.agents[name])
            raise UsageError(f"agent {name}: {why}", hint=hint)
    changed = write_agents_lock(session.root, agents)
    for name, facts in sorted(agents.items()):
        models = ", ".join(facts.models) or "its own choice"
        version = facts.version or "unknown"
        write_stdout(f"{name}  {facts.kind}, version {version}, model {models}\n")
    write_stdout(f"{AGENTS_LOCK} {'written' if changed else 'is up to date'}\n")
    return 0
