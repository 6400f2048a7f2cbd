"""Before a run: what the settings and the repositories name and this machine lacks.

None of it stops a cell for certain, so these are warnings: a tool that an agent is allowed and
cannot start, a variable that it shall get and that is not set, git-lfs for files that would be
pointers, a name for commits, a hook that refuses the form of our commit messages.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.commit_style import commit_message
from orchestr.cell.worktree.ensure import base_branch
from orchestr.checks.find_program import find_program
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.bases import find_base
from orchestr.git.config import IDENTITY_VARIABLES, lfs_config
from orchestr.git.hook_trial import has_message_hooks, try_message_beside
from orchestr.git.runner import YES_OR_NO
from orchestr.process.redaction import SECRET_NAME
from orchestr.run.diagnostic import Diagnostic
from orchestr.spec.phases import Action, Phase


def check_surroundings(cells: Sequence[CellContext]) -> list[Diagnostic]:
    """``cells`` have something to do; each repository and each agent is looked at once."""
    repos = {
        ctx.cell.repo: ctx
        for ctx in reversed(cells)
        if ctx.cell.action is Action.AGENT and ctx.repo_path.is_dir()
    }
    found = [*_check_variables(cells)]
    for name, ctx in sorted(repos.items()):
        try:
            found += [*_check_tools(name, ctx), *_check_repository(name, ctx)]
        except MachineFault:
            raise
        except OrchestrError:
            continue  # a repository that git cannot use has a finding of its own
    return found


def _check_variables(cells: Sequence[CellContext]) -> Iterator[Diagnostic]:
    """Credentials that the agents of these cells are to see. Other variables of `pass_env` may be
    unset on purpose: they choose something."""
    agents: dict[str, None] = {}
    for ctx in cells:
        if ctx.cell.action is Action.AGENT:
            agents[ctx.agent_settings.name] = None
        reviewers = ctx.cell.proof.reviewers if Phase.REVIEW in ctx.cell.phases else ()
        agents |= dict.fromkeys(reviewer.agent for reviewer in reviewers)
    for name in sorted(agents):
        settings = cells[0].run.settings.agents.get(name)
        for variable in settings.pass_env if settings is not None else ():
            if variable not in os.environ and SECRET_NAME.search(variable):
                what = f"agent {name} is to see {variable} (pass_env), which is not set"
                yield Diagnostic("warning", what, f"export {variable}=..., or take it out")


def _check_tools(name: str, ctx: CellContext) -> Iterator[Diagnostic]:
    """Tools that the settings name for a repository's agents."""
    env = {"PATH": os.environ.get("PATH", os.defpath)}
    for tool in ctx.repo_settings.tools:
        try:
            program = next(iter(shlex.split(tool)), "")
        except ValueError:
            continue
        named = program and not any(sign in program for sign in "*?[=")
        if named and find_program(program, ctx.repo_path, ctx.repo_path, env) is None:
            what = f"[repos.{name}] tools: {program} is not there"
            yield Diagnostic("warning", what, f"install {program}, or take it out of `tools`")


def _check_repository(name: str, ctx: CellContext) -> Iterator[Diagnostic]:
    repo = ctx.repo
    missing = [key for key in repo.identity_config if not _is_in_environment(key)]
    if missing:
        what = f"{name}: git knows no {' and no '.join(missing)}; commits of ours get a stand-in"
        fix = "; ".join(f'git config --global {key} "..."' for key in missing)
        yield Diagnostic("warning", what, fix)
    base = find_base(repo, base_branch(ctx)) or "HEAD"
    if lfs_config():
        words = ("grep", "-q", "filter=lfs", base, "--", "*.gitattributes")
        if repo.run_readonly(*words, answers=YES_OR_NO).code == 0:
            what = f"{name}: it uses git-lfs, which is not installed: worktrees get pointers"
            yield Diagnostic("warning", what, "install git-lfs, then: git lfs install")
    if not has_message_hooks(repo):
        return
    message = commit_message(ctx)
    why = try_message_beside(repo, base, message)
    if why is not None:
        subject = message.partition("\n")[0]
        what = f"{name}: a hook refuses the message of our commits, {subject!r}: {why}"
        fix = f"[repos.{name}] commit_subject (and trailers) in orchestr.toml give them its form"
        yield Diagnostic("warning", what, fix)


def _is_in_environment(key: str) -> bool:
    """Whether `user.name` or `user.email` come from variables (`GIT_COMMITTER_NAME`, ...)."""
    ending = key.rpartition(".")[2].upper()
    return any(os.environ.get(v) for v in IDENTITY_VARIABLES if v.endswith(ending))
