"""`prompt FEATURE:CELL [--attempt N]`: what the next attempt would be asked, or one was.

Reads files and repositories; makes no worktree and changes nothing. What only a run finds out
(merges with what others pushed) is not in the prompt of an attempt to come.
"""

from __future__ import annotations

import sys
from typing import Any

from orchestr.cell.agent.launch import hide_secrets
from orchestr.cell.agent.prompt import build_prompt
from orchestr.cell.context import CellContext
from orchestr.cell.worktree.prepare_branch import leftover_notes
from orchestr.commands.base.options import value_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import OrchestrError, UsageError
from orchestr.git.worktree_state import WorktreeFinding, validate_worktree
from orchestr.run.workspace import Session
from orchestr.settings.repo_paths import repo_path
from orchestr.spec.phases import Action
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.views.terminal.output import print_stderr

PROMPT = "prompt.md"


class Prompt(PlainVerb):
    """The prompt on stdout, what there is to know about it on stderr."""

    doc_purpose = "what a cell's agent is asked to do"
    doc_usage = "FEATURE:CELL"
    help_group = "view"
    only_reads = True
    examples = (
        ("prompt mlkem:java-sdk", "what the next attempt's agent is asked to do"),
        ("prompt mlkem:java-sdk --attempt 1", "what it was asked then"),
    )
    cmd_options = (
        value_option(
            "attempt", "the prompt that attempt N got (default: the next one's)", type_=int
        ),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Print the prompt of one cell."""
        if len(args) != 1:
            raise UsageError("`prompt` wants one cell", hint="orchestr prompt FEATURE:CELL")
        ctx = session.select_cell(args[0])
        if ctx.cell.action is Action.PUSH:
            raise UsageError(f"{ctx.name} has no prompt: no agent works on it (action: push)",
                             hint=f"orchestr explain {ctx.name}")  # fmt: skip
        number = params["attempt"]
        sys.stdout.write(
            _build_next_prompt(ctx) if number is None else _read_past_prompt(ctx, number)
        )
        return 0


def _read_past_prompt(ctx: CellContext, number: int) -> str:
    known = attempts.attempt_numbers(ctx.dir)
    if number not in known:
        names = f"attempts: {', '.join(map(str, known))}" if known else f"orchestr run {ctx.name}"
        raise UsageError(f"{ctx.name} has no attempt {number}", hint=names)
    try:
        data = (attempts.attempt_folder(ctx.dir, number) / PROMPT).read_bytes()
    except FileNotFoundError:
        raise UsageError(
            f"attempt {number} of {ctx.name} has no prompt: it ended before its agent started",
            hint=f"orchestr explain {ctx.name}",
        ) from None
    return data.decode("utf-8", "replace")


def _build_next_prompt(ctx: CellContext) -> str:
    """Built from what is known now, and what is not known is listed on stderr."""
    known = attempts.attempt_numbers(ctx.dir)
    number = max(known, default=0) + 1
    newest = attempts.newest_attempt(ctx.dir)
    if newest is not None and newest.is_open:
        print_stderr(f"attempt {newest.number} of {ctx.name} is open; its own prompt: "
            f"orchestr prompt {ctx.name} --attempt {newest.number}")  # fmt: skip
    fresh = attempts.fresh_request(ctx.dir) or ""
    agent = ctx.run.settings.agents.get(ctx.agent_name)
    model = ctx.cell.model or (agent.model if agent else None) or ""
    attempt = Attempt(number, "", ctx.agent_name, "", model, fresh=fresh)
    path = repo_path(ctx.run.settings, ctx.cell.repo)
    if not path.is_dir() and ctx.repo_settings.commits == "auto":
        print_stderr(f"{path} is not there yet: how commits are written in it is not known")
    for upstream in ctx.upstreams():
        if upstream.read_head() is None:
            print_stderr(f"upstream {upstream.cell.name} is not built yet")
    left = "" if fresh else "\n".join(_list_leftovers(ctx))
    return hide_secrets(ctx, build_prompt(ctx, attempt, left))


def _list_leftovers(ctx: CellContext) -> list[str]:
    """What lies in the cell's worktree, if it has a usable one."""
    if not ctx.worktree.is_dir():
        return []
    try:
        found = validate_worktree(ctx.repo, ctx.worktree, ctx.cell.branch).finding
        return leftover_notes(ctx) if found is WorktreeFinding.OK else []
    except OrchestrError:
        return []  # `doctor` reports what is wrong with it
