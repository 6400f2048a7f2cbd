"""`info TASK`: a task's files, dependencies and state, with the reasons of ours.

Without a task: the program itself, and what other packages add to it.
"""

from __future__ import annotations

import sys
from typing import Any

from doit.cmd_info import Info as DoitInfo

import orchestr
from orchestr.cell.phases import cross_checks
from orchestr.commands.base.verb import Verb, attach_loader
from orchestr.errors import UsageError
from orchestr.run.workspace import Session, Target
from orchestr.spec.goal_names import OTHER_PREFIXES
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.results import TRANSCRIPT
from orchestr.tasks.stale import audit_reasons, stale_phases


def find_review_transcripts(session: Session, target: Target) -> list[str]:
    """What the reviewers of the newest result said, each word of it: their transcripts."""
    if target.phase not in (None, Phase.REVIEW) or target.cell is None:
        return []
    (ctx,) = session.select_cells([target])
    newest = attempts.newest_attempt(ctx.dir)
    folders = attempts.agent_folders(ctx.dir, newest.number if newest else 0)[1:]
    ordered = sorted(folders, key=lambda f: int(f.name.partition("-")[0]))
    return [str(f / TRANSCRIPT) for f in ordered if (f / TRANSCRIPT).exists()]


def describe_program() -> list[str]:
    """Version and interpreter, then the packages that add kinds, with what is wrong with them."""
    from orchestr.run.check_plugins import check_plugins, describe_plugins
    from orchestr.settings.plugins import list_plugins

    python = ".".join(map(str, sys.version_info[:3]))
    plugins = list_plugins()
    findings = [str(finding) for finding in check_plugins(plugins)]
    packages = describe_plugins(plugins) or ["package    none adds anything"]
    head = [f"orchestr   {orchestr.__version__}", f"python     {python}, {sys.executable}"]
    return [*head, *packages, *findings]


class Info(Verb, DoitInfo):  # type: ignore[misc]
    """doit's `info`, where a group's state is that of what is below it."""

    purpose = (
        "show a task's files, dependencies and state; without one, the program and its plugins"
    )
    usage = "[FEATURE[:CELL[:PHASE]]]"
    help_group = "view"
    only_reads = True
    examples = (
        ("info mlkem:java-sdk:check", "files and state of one phase"),
        ("info", "the version, and what other packages add"),
    )

    def execute(self, params: Any, args: list[str]) -> int:
        """Exit 0 when it is up to date, 1 when something would run."""
        if not args:
            sys.stdout.write("".join(f"{line}\n" for line in describe_program()))
            return 0
        session: Session = attach_loader(self).session
        if len(args) != 1:
            raise UsageError("`info` wants one task", hint="orchestr list --all")
        others = self.loader.dodo_tasks
        if args[0] in others or args[0].startswith(OTHER_PREFIXES):
            self.outstream = sys.stdout
            return int(super().execute(params, args))
        target = session.parse_target(args[0], steps=True)
        self.loader.features = [target.feature]
        tasks = {task.name: task for task in self.loader.load_tasks(self, args)}
        task = tasks[target.task_name]
        lines = [target.task_name, f"  {task.doc}"]
        reasons = [
            f"  {ctx.cell.name}:{phase}: {why}"
            for ctx in session.select_cells([target])
            for phase, why in stale_phases(ctx).items()
            if target.phase in (None, phase)
        ]
        if target.cell is None:  # the feature's last step
            run = session.load_run(target.feature)
            reasons += [f"  {why}" for why in cross_checks.cross_check_reasons(run)]
            reasons += [f"  {why}" for why in audit_reasons(run)]
        lines.append(f"status: {'would run' if reasons else 'up to date'}")
        lines += reasons
        for title, values in (
            ("file_dep", sorted(task.file_dep)),
            ("task_dep", list(task.task_dep)),
            ("targets", list(task.targets)),
            ("reviews", find_review_transcripts(session, target)),
        ):
            if values:
                lines.append(f"{title}:")
                lines += [f"  {value}" for value in values]
        sys.stdout.write("\n".join(lines) + "\n")
        return 1 if reasons else 0
