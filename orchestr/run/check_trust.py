"""Which of a repository's own settings its agents obey, and what one is to obey and cannot."""

from __future__ import annotations

from collections.abc import Sequence

from orchestr.cell.context import CellContext
from orchestr.errors import OrchestrError
from orchestr.run.cell_agents import list_cell_agents
from orchestr.run.diagnostic import Diagnostic
from orchestr.settings.kinds import AGENT_KINDS
from orchestr.settings.loader import FILE
from orchestr.settings.trust_words import EVERYTHING


def check_trust(cells: Sequence[CellContext]) -> list[Diagnostic]:
    """For each repository and kind of agent a note of what it finds there, and an error with the
    line of `trust` for what it cannot."""
    found: dict[tuple[str, ...], Diagnostic] = {}
    for ctx in cells:
        trust, repo = ctx.repo_settings.trust, ctx.cell.repo
        for name in sorted(list_cell_agents([ctx])):
            kind = ctx.run.settings.agents[name].kind
            if (note := _describe_settings(ctx, name)) is not None:
                found[repo, name, "note"] = note
            if EVERYTHING in trust:
                continue
            refused, known = find_refused_parts(kind, trust)
            if refused:
                parts = ", ".join(f"`{word}`" for word in refused)
                what = f"agent {name} (kind `{kind}`) cannot be let obey {parts} of a repository"
                hint = f"it can be let obey {', '.join(known)}; `trust = true` is all of it"
                place = f"{_locate_trust(ctx)}: repos.{repo}.trust"
                found[repo, kind] = Diagnostic("error", f"{place}: {what} alone", hint)
    return list(found.values())


def describe_trust(cells: Sequence[CellContext]) -> list[str]:
    """What agents find of their own settings in the repositories, a line each; for people."""
    pairs = [(ctx, name) for ctx in cells for name in sorted(list_cell_agents([ctx]))]
    notes = [_describe_settings(ctx, name) for ctx, name in pairs]
    return list(dict.fromkeys(note.what for note in notes if note is not None))


def _describe_settings(ctx: CellContext, agent: str) -> Diagnostic | None:
    sort_settings = getattr(ctx.run.agent_adapter(agent), "sort_settings", None)
    if sort_settings is None:
        return None
    obeyed, ignored = sort_settings(ctx.repo_path, ctx.repo_settings.trust)
    words = [f"{verb} {', '.join(names)}"
             for verb, names in (("obeys", obeyed), ("ignores", ignored)) if names]  # fmt: skip
    if not words:
        return None
    what = f"repository {ctx.cell.repo}: agent {agent} {' and '.join(words)}"
    return Diagnostic("note", what, "")


def find_refused_parts(kind: str, trust: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of ``trust`` that a kind of agent has no way for, and those that it has. A kind
    that declares none, as a command of one's own, reads what it reads, and is not asked."""
    try:
        known = AGENT_KINDS.load(kind).trusts
    except OrchestrError:
        return (), ()  # reported with the agent
    if known is None:
        return (), ()
    return tuple(word for word in trust if word not in known), known


def _locate_trust(ctx: CellContext) -> str:
    from orchestr.settings.toml_positions import find_place

    try:
        text = (ctx.run.layout.root / FILE).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return FILE
    line, _ = find_place(text, ("repos", ctx.cell.repo, "trust"))
    return f"{FILE}:{line}" if line else FILE
