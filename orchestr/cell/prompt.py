"""The prompt of an attempt, and the variables that go with it.

Plain text from the spec and from what the upstreams made; a note about conflicts or an earlier
attempt when there is one. Nothing secret is in it.
"""

from __future__ import annotations

from pathlib import Path

from orchestr.cell import attempt as attempts
from orchestr.cell.amendment import notes_for
from orchestr.cell.attempt import Attempt
from orchestr.cell.context import CellContext
from orchestr.cell.ownership import ASK
from orchestr.cell.portlease import port_variables
from orchestr.cell.records import NO_PR, PR_URL, Head, Marker, read_line
from orchestr.cell.worktree import place
from orchestr.ports import FILE as PORTS


def variables(ctx: CellContext, attempt: Attempt, prompt: Path) -> dict[str, str]:
    """`ORCHESTR_*`: the cell's own, and four for each upstream (DESIGN, the command agent)."""
    marker = Marker.read(ctx.dir)
    values = {
        "ORCHESTR_FEATURE": ctx.run.feature.name,
        "ORCHESTR_CELL": ctx.cell.name,
        "ORCHESTR_REPO": ctx.cell.repo,
        "ORCHESTR_BRANCH": ctx.cell.branch,
        "ORCHESTR_BASE": marker.base if marker else "",
        "ORCHESTR_ATTEMPT": str(attempt.number),
        "ORCHESTR_PROMPT_FILE": str(prompt),
        "ORCHESTR_WORKTREE": str(ctx.worktree),
        "ORCHESTR_KEY": ctx.run.feature.key,
        **port_variables(ctx),
    }
    for upstream in ctx.upstreams():
        head = Head.read(upstream.dir)
        prefix = f"ORCHESTR_UPSTREAM_{upstream.cell.name.upper().replace('-', '_')}"
        values[f"{prefix}_WORKTREE"] = str(place(upstream))
        values[f"{prefix}_BRANCH"] = upstream.cell.branch
        values[f"{prefix}_HEAD"] = head.head if head else ""
        values[f"{prefix}_PR"] = pr_of(upstream) or ""
    return values


def pr_of(ctx: CellContext) -> str | None:
    """The address of a cell's pull request, None when it has none (yet)."""
    url = read_line(ctx.dir / PR_URL)
    return None if url == NO_PR else url


def build(ctx: CellContext, attempt: Attempt, notes: str) -> str:
    """The whole prompt, Markdown."""
    cell, feature = ctx.cell, ctx.run.feature
    parts = [
        f"# {feature.title} ({feature.key}): {cell.name}",
        f"You work on one cell of a feature that spans several repositories. Yours is "
        f"`{cell.name}` in repository `{cell.repo}`, branch `{cell.branch}`. The current folder "
        f"is its git worktree.",
        "## What to do\n" + _bullets(cell.todo or ("See the title.",)),
    ]
    if notes:
        parts.append("## First\n" + notes)
    amendments = notes_for(ctx)
    if amendments:
        parts.append("## Contracts\n" + "\n\n".join(amendments))
    if attempt.number > 1:
        parts.append(_earlier(ctx, attempt))
    upstreams = [_upstream(up) for up in ctx.upstreams()]
    if upstreams:
        parts.append("## What it builds on\n" + "\n".join(upstreams))
    parts.append("## The whole feature\n" + _overview(ctx))
    if feature.scenarios:
        parts.append("## Acceptance scenarios\n" + _bullets(feature.scenarios))
    parts.append("## House rules\n" + _bullets(_rules(ctx)))
    return "\n\n".join(parts) + "\n"


def _earlier(ctx: CellContext, attempt: Attempt) -> str:
    """What a later attempt must know of the one before it: above all why it failed."""
    text = f"This is attempt {attempt.number}; earlier commits of the branch stay."
    before = [a for a in attempts.every(ctx.dir) if a.number < attempt.number]
    if before and before[-1].outcome == "failed" and not attempt.fresh:
        text += f"\nThe last one was not accepted: {before[-1].reason}\nMend that first."
    return text


def _bullets(lines: tuple[str, ...] | list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _upstream(ctx: CellContext) -> str:
    head = Head.read(ctx.dir)
    if head is None:
        return f"- `{ctx.cell.name}` ({ctx.cell.repo}): not built"
    stat = ctx.repo.diff_stat(head.base, head.head).strip().splitlines()
    lines = [
        f"- `{ctx.cell.name}` ({ctx.cell.repo}): read its code in `{place(ctx)}` "
        f"(branch `{ctx.cell.branch}`, head `{head.head[:12]}`)"
    ]
    url = pr_of(ctx)
    if url:
        lines.append(f"  pull request: {url}")
    lines += [f"  {line.strip()}" for line in stat[-12:]]
    return "\n".join(lines)


def _overview(ctx: CellContext) -> str:
    lines = []
    for cell in ctx.run.feature.cells:
        after = f", after {', '.join(cell.depends_on)}" if cell.depends_on else ""
        yours = " (yours)" if cell.name == ctx.cell.name else ""
        lines.append(f"- `{cell.name}` in `{cell.repo}`{after}{yours}")
        lines += [f"  - {item}" for item in cell.todo]
    return "\n".join(lines)


def _rules(ctx: CellContext) -> list[str]:
    key = ctx.run.feature.key
    rules = [
        f"Put `({key})` in the subject of every commit. What you leave uncommitted is "
        "committed for you.",
        "Stay in this folder and on this branch. Do not push, do not open pull requests, do not "
        "rewrite commits that are there, do not touch other cells' worktrees.",
        "Run the repository's own checks before you finish.",
        "If nothing has to be changed, end with the line "
        "`ORCHESTR no_change_needed: <why>` and leave the tree as it is.",
    ]
    if ctx.cell.owned_paths:
        mine = [c.path for c in ctx.run.feature.contracts if c.owner == ctx.cell.name]
        allowed = (*ctx.cell.owned_paths, *ctx.cell.proof.shared_paths, *mine)
        owned = ", ".join(f"`{path}`" for path in dict.fromkeys(allowed))
        rules.append(f"Change only these paths: {owned}.")
    return rules + _contracts(ctx) + _kit(ctx)


def _contracts(ctx: CellContext) -> list[str]:
    """One line on the paths that only other cells may change."""
    theirs = [c for c in ctx.run.feature.contracts if c.owner != ctx.cell.name]
    if not theirs:
        return []
    listed = ", ".join(f"`{c.path}` (cell `{c.owner}`)" for c in theirs)
    return [
        f"Contracts, to be read by all and changed by their owner only: {listed}. If you cannot "
        "do without a change there, do not make it: end with the line "
        f"`{ASK} <path>: <what is needed>`."
    ]


def _kit(ctx: CellContext) -> list[str]:
    """What is shared with other worktrees, and the ports."""
    rules = []
    if linked := [n for n in ctx.repo_settings.link if (ctx.worktree / n).is_symlink()]:
        names = ", ".join(f"`{name}`" for name in linked)
        rules.append(
            f"{names}: linked from the main checkout and shared with other cells. Read them "
            f"freely; what you add there goes into names of your own (`{ctx.cell.name}`)."
        )
    if ctx.cell.proof.ports:
        rules.append(
            "Servers that you start listen on your own ports only: `ORCHESTR_PORT_0` to "
            f"`ORCHESTR_PORT_9`, also in `{PORTS}`."
        )
    return rules
