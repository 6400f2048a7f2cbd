"""`doctor [--fix]`: git, agents, forge, disk, orphans, dangling state, each with its remedy.

Looks at three places and compares them: the registry, the disk, and git. It
repairs nothing but what `--fix` names: dangling registry entries, a lost registry.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from orchestr.agents import make_agent
from orchestr.cell.agent.run_agent import reviewer_work
from orchestr.cell.agent.stop_agent import has_running_agent
from orchestr.cell.candidate import with_candidates
from orchestr.cell.context import CellContext
from orchestr.cell.removed_cells import find_orphaned_features
from orchestr.cell.worktree.damage import belongs_to_clone, record_place
from orchestr.commands.base.options import flag_option, value_option
from orchestr.commands.base.registry_findings import diagnose_registry
from orchestr.commands.base.remote_lines import describe_remotes
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import CorruptState, OrchestrError, UsageError
from orchestr.git.repo import git_version
from orchestr.git.worktree_list import WorktreeEntry
from orchestr.git.worktree_state import WorktreeFinding as TreeFinding
from orchestr.git.worktree_state import WorktreeVerdict, is_same_path, validate_worktree
from orchestr.process.lease import read_lease
from orchestr.process.tree import list_attempt_processes
from orchestr.run.check_plugins import check_plugins, describe_plugins
from orchestr.run.check_sandbox import describe_sandbox
from orchestr.run.check_trust import describe_trust
from orchestr.run.diagnostic import Diagnostic
from orchestr.run.preflight import MIN_GIT, check_prerequisites
from orchestr.run.workspace import Session
from orchestr.sandbox.choose import choose_sandbox
from orchestr.sandbox.mounts import SandboxError
from orchestr.settings.plugins import list_plugins
from orchestr.spec.phases import Action
from orchestr.state import attempts
from orchestr.state.layout import DRAFT, create_state_dirs
from orchestr.views.terminal.output import write_stdout


class Doctor(PlainVerb):
    """Everything that could make a run fail, and what an earlier one left behind."""

    doc_purpose = "look for what is broken, with the remedy for each finding"
    doc_usage = "[FEATURE]"
    help_group = "workspace"
    examples = (
        ("doctor", "look for what is broken, with the remedy for each"),
        ("doctor --agent claude", "try what an agent keeps, with a model that plays a script"),
        ("doctor --lock-agents", "note the agents' versions and models for the team"),
    )
    cmd_options = (
        flag_option("fix", "release dangling registry entries, make a lost registry again"),
        flag_option(
            "lock_agents",
            "write agents.lock.toml: kinds, versions and models of the agents in use",
            long="lock-agents",
        ),
        value_option("agent", "try what this agent keeps, against a scripted model"),
        value_option(
            "endpoint",
            "with --agent: NAME or NAME=/v1, the variable with the address of its model's server, "
            "for an agent that is not known",
        ),
        flag_option("json", "with --agent: as JSON"),
    )

    def reads_only(self, words: Sequence[str]) -> bool:
        """Without `--fix` and `--lock-agents` (or their beginnings) nothing is changed."""
        return not any(word.startswith(("--f", "--l")) for word in words)

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Exit 1 when an error was found."""
        create_state_dirs(session.layout)
        if params["lock_agents"]:
            from orchestr.commands.base.doctor_agents import lock_agents

            return lock_agents(session)
        if params["agent"]:
            from orchestr.commands.base.doctor_agents import print_agent_trial

            return print_agent_trial(
                session, params["agent"], params["endpoint"] or "", as_json=params["json"]
            )
        if params["json"] or params["endpoint"]:
            flag = "--json" if params["json"] else "--endpoint"
            raise UsageError(f"{flag} is for --agent", hint=f"orchestr doctor --agent NAME {flag}")
        features = [session.parse_target(a).feature for a in args] or list(session.specs.features)
        found: dict[str, Diagnostic] = {}
        obeyed: dict[str, None] = {}
        for problem in session.specs.problems:
            found[str(problem)] = Diagnostic("error", str(problem), "orchestr validate")
        registered = diagnose_registry(session, fix=params["fix"])  # first: cells read it
        for name in features:
            run = session.load_run(name)
            cells = [plan.name for plan in run.plan.cells]
            for finding in check_prerequisites(run, cells, ask=True, forced=cells):
                if finding.severity != "note":
                    found[str(finding)] = finding
            obeyed |= dict.fromkeys(describe_trust([run.cell_context(cell) for cell in cells]))
            for cell in cells:
                for finding in self._diagnose_safely(run.cell_context(cell), fix=params["fix"]):
                    found[str(finding)] = finding
        for finding in diagnose_journals(session, features):
            found[str(finding)] = finding
        whole = not args and not session.specs.problems  # else not every spec is looked at
        specs = list(session.specs.features.values())
        for gone in find_orphaned_features(session.layout, specs) if whole else ():
            if gone.is_left:
                finding = Diagnostic("warning", gone.description, gone.remedy)
                found[str(finding)] = finding
        for finding in [*registered, *find_orphans(session, features)]:
            found[str(finding)] = finding
        plugins = list_plugins()
        for finding in check_plugins(plugins):
            found[str(finding)] = finding
        facts = [*_describe_workspace(session), *describe_plugins(plugins), *obeyed]
        write_stdout("\n".join(facts) + "\n")
        for finding in found.values():
            write_stdout(f"{finding}\n")
        errors = sum(f.severity == "error" for f in found.values())
        if not found:
            write_stdout("nothing is wrong\n")
        return 1 if errors else 0

    def _diagnose_safely(self, ctx: CellContext, *, fix: bool) -> list[Diagnostic]:
        """One broken record is a finding; the other cells are looked at all the same."""
        try:
            return diagnose_cell(ctx, fix=fix)
        except CorruptState as error:
            return [Diagnostic("error", error.message, error.hint or f"orchestr run {ctx.name}")]


def _describe_workspace(session: Session) -> list[str]:
    wanted = ".".join(map(str, MIN_GIT))
    try:
        git = ".".join(map(str, git_version()))
    except OrchestrError as error:
        git = error.message
    free = shutil.disk_usage(session.layout.state).free // 2**20
    lines = [
        f"workspace  {session.root}",
        f"git        {git} (at least {wanted})",
        f"disk       {free} MB free at {session.layout.state}",
        f"forge      {_describe_forges(session)}",
        *(f"remote     {line}" for line in describe_remotes(session)),
        f"agents     {', '.join(_describe_agents(session)) or 'none'}",
        f"sandbox    {_describe_sandbox(session)}",
        f"features   {', '.join(session.specs.features) or 'none'}",
    ]
    for name in session.specs.features:
        lease = read_lease(session.layout.lease_file(name))
        if lease is not None:
            lines.append(f"running    {name}: PID {lease.pid} since {lease.started_at}")
    return lines


def _describe_forges(session: Session) -> str:
    """The kind of forge, and those of the repositories that have one of their own."""
    settings = session.settings
    others = [
        f"{name}: {repo.forge or settings.forge.kind}"
        + (f" at {repo.forge_url}" if repo.forge_url else "")
        for name, repo in settings.repos.items()
        if repo.forge not in (None, settings.forge.kind) or repo.forge_url
    ]
    return f"{settings.forge.kind} ({', '.join(others)})" if others else settings.forge.kind


def _describe_sandbox(session: Session) -> str:
    """What agents and checks run in, or why in nothing."""
    try:
        return describe_sandbox(choose_sandbox(session.settings.sandbox))
    except SandboxError as error:
        return f"{error.message}; {error.hint}"


def _describe_agents(session: Session) -> Iterator[str]:
    """Every agent of the settings with its version, or why it cannot be used."""
    for name in session.settings.agents:
        agent = make_agent(session.settings, name)
        note = agent.explain_unusable() or agent.program_version()
        yield f"{name} ({note})" if note else name


def diagnose_journals(session: Session, features: Sequence[str]) -> Iterator[Diagnostic]:
    """Lines that every reader passes over: what they said is missing in status and reports.

    A torn line in the middle is one that a kill left; the next run went on behind it.
    """
    for name in features:
        journal = session.open_journal(name)
        try:
            lines = journal.unreadable_lines()
        except OSError as error:
            yield Diagnostic("error", f"{journal.path}: {error.strerror}", f"ls -l {journal.path}")
            continue
        if lines:
            shown = ", ".join(map(str, lines[:5])) + (", ..." if len(lines) > 5 else "")
            what = "line" if len(lines) == 1 else "lines"
            yield Diagnostic(
                "warning",
                f"{journal.path}: {what} {shown} cannot be read and are passed over",
                f"look at sed -n {lines[0]}p {journal.path}; results do not depend on it",
            )


def diagnose_cell(ctx: CellContext, *, fix: bool) -> list[Diagnostic]:
    """A cell's open attempt and its worktree."""
    found: list[Diagnostic] = []
    running = read_lease(ctx.run.layout.lease_file(ctx.run.feature.name)) is not None
    for one in with_candidates(ctx):
        newest = attempts.current_attempt(one.dir)
        if newest is None or not newest.is_open or running:
            continue
        if has_running_agent(one.dir, newest):
            text = f"{ctx.name}: its agent works on without a run ({newest.label})"
            remedy = f"orchestr run {ctx.name} adopts it; orchestr abort {ctx.name} stops it"
            found.append(Diagnostic("warning", text, remedy))
        else:
            text = f"{ctx.name}: {newest.label} was interrupted"
            found.append(Diagnostic("warning", text, f"orchestr run {ctx.name} goes on"))
    entry = ctx.run.registry.lookup(ctx.key)
    if entry is None or entry.status != "active" or ctx.cell.action is Action.PUSH:
        return found
    try:
        verdict = validate_worktree(ctx.repo, ctx.worktree, ctx.cell.branch)
    except OrchestrError as error:
        return [*found, Diagnostic("error", error.message, error.hint or "")]
    if verdict.finding in (TreeFinding.WRONG_BRANCH, TreeFinding.DETACHED):
        return found  # the pre-flight names it
    if verdict.finding is TreeFinding.MISSING:
        place = next((e for e in ctx.repo.list_worktrees() if e.branch == ctx.cell.branch), None)
        if place is not None and not is_same_path(place.path, ctx.worktree):
            return [*found, _name_other_checkout(ctx, place)]
        if fix:
            ctx.run.registry.release(ctx.key)
        text = f"{ctx.name}: its worktree {ctx.worktree} is gone"
        remedy = (
            "released" if fix else "the next run makes it again; orchestr doctor --fix releases it"
        )
        found.append(Diagnostic("warning", text, remedy))
    elif fix and verdict.finding is TreeFinding.DAMAGED and belongs_to_clone(ctx):
        record_place(ctx)
        text = f"{ctx.name}: worktree {ctx.worktree}: {verdict.detail}"
        found.append(Diagnostic("warning", text, "repaired"))
    elif verdict.finding is not TreeFinding.OK:
        text = f"{ctx.name}: worktree {ctx.worktree}: {verdict.finding} {verdict.detail}".rstrip()
        found.append(Diagnostic("warning", text, _suggest_repair(ctx, verdict, fix=fix)))
    return found


def _name_other_checkout(ctx: CellContext, place: WorktreeEntry) -> Diagnostic:
    """A worktree that a person moved, or took away to work on its branch elsewhere."""
    text = f"{ctx.name}: its worktree is gone, and {ctx.cell.branch} is checked out at {place.path}"
    if place.is_main:
        return Diagnostic("warning", text, f"git -C {place.path} switch --detach")
    remedy = f"git -C {ctx.repo_path} worktree move {place.path} {ctx.worktree}"
    return Diagnostic("warning", text, remedy)


def _suggest_repair(ctx: CellContext, verdict: WorktreeVerdict, *, fix: bool) -> str:
    """What helps a worktree that is there and cannot be used as it is."""
    path = ctx.worktree
    match verdict.finding:
        case TreeFinding.FOREIGN:
            return f"look into it, then: mv {path} {path}.old; it is made again when it is needed"
        case TreeFinding.DAMAGED if not fix:
            return "orchestr doctor --fix repairs it"
        case TreeFinding.LOCKED:
            return f"git -C {ctx.repo_path} worktree unlock {path}"
        case _:
            return f"orchestr run {ctx.name} repairs it when it needs it"


def _describe_owner(marker: str) -> str:
    feature, cell, rest = (*marker.split("/", 2), "", "")[:3]
    if rest.startswith("checks/"):
        whose = f"a check of {feature}:{cell}" if cell else f"a cross check of {feature}"
        return f"{whose}; the next run ends it"
    return f"attempt {marker}"


def find_orphans(session: Session, features: list[str]) -> list[Diagnostic]:
    """Processes that carry a marker although nothing is open that they belong to.

    Checks belong to their run alone; a reviewer continues without one, like its attempt.
    """
    found = []
    open_markers = set()
    idle = [n for n in features if read_lease(session.layout.lease_file(n)) is None]
    for name in idle:
        run = session.load_run(name)
        for plan in run.plan.cells:
            for ctx in with_candidates(run.cell_context(plan.name)):
                newest = attempts.current_attempt(ctx.dir)
                if newest is not None and newest.is_open:
                    open_markers.add(newest.process_marker(ctx.key))
                    for folder in attempts.agent_folders(ctx.dir, newest.number)[1:]:
                        open_markers.add(reviewer_work(folder, newest.number).marker)
    for folder in sorted((session.layout.state / "drafts").glob("*/plans")):
        draft = folder.parent.name
        newest = attempts.newest_plan(folder.parent)
        if newest is None or not newest.is_open:
            continue
        open_markers.add(newest.process_marker(session.layout.key_of(draft, DRAFT)))
        alone = read_lease(session.layout.draft_lease_file(draft)) is None
        if alone and has_running_agent(folder.parent, newest):
            text = f"the agent that drafts {draft} is at work without its command"
            hint = (
                f"`orchestr draft {draft}` goes on with it, `orchestr forget spec:{draft}` ends it"
            )
            found.append(Diagnostic("warning", text, hint))
    here = (str(session.layout.worktrees), str(session.layout.state))
    stubs = str(session.layout.state / "stub")  # workspaces of their own
    for pid, marker, worktree in list_attempt_processes():
        mine = marker.split("/")[0] in idle and worktree.startswith(here)
        mine = mine and not worktree.startswith(stubs)
        if mine and marker not in open_markers:
            text = f"process {pid} was left behind by {_describe_owner(marker)}"
            found.append(Diagnostic("warning", text, f"kill {pid}"))
    return found
