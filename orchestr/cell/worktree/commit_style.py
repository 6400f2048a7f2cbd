"""House rules for commits: how a subject is written in a repository, and which trailers it gets.

One place for both who commit: the agent, which reads them in its prompt, and the engine, which
commits what the agent left. Looks into the repository, changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.ensure import base_branch
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.bases import base_ref_names
from orchestr.git.hook_trial import explain_refused_message
from orchestr.state.results import WorktreeMarker

LOOK_BACK = 50  # subjects of the base that say how commits are written here
TYPES = (
    "build", "chore", "ci", "deps", "docs", "feat", "fix", "perf", "refactor", "revert", "style",
    "test",
)  # fmt: skip
CONVENTIONAL = re.compile(rf"({'|'.join(TYPES)})(\([^()]+\))?!?: \S", re.IGNORECASE)
GITS_OWN = re.compile(r'(Merge|Revert) "?|(fixup|squash|amend)! ')


@dataclass(frozen=True, slots=True)
class CommitRules:
    """How commits are written in one cell's repository."""

    conventional: bool
    key: str
    trailers: tuple[str, ...] = ()
    subject: str | None = None  # the form of a subject, with `keys.SUBJECT_FIELDS`


def commit_rules(ctx: CellContext) -> CommitRules:
    """The rules for this cell: settings first, else what the base's history shows."""
    settings, workspace = ctx.repo_settings, ctx.run.settings.workspace
    trailers = workspace.trailers if settings.trailers is None else settings.trailers
    conventional = settings.commits == "conventional"
    if settings.commits == "auto" and settings.commit_subject is None:
        conventional = is_conventional(_base_subjects(ctx))
    return CommitRules(conventional, ctx.run.feature.key, trailers, settings.commit_subject)


def commit_message(ctx: CellContext, kind: str = "feat", what: str = "") -> str:
    """Of the engine's own commits: the key in the subject, no footer for it."""
    house, cell = commit_rules(ctx), ctx.cell
    what = what or cell.title or ctx.run.feature.title
    if house.subject is not None:
        feature = ctx.run.feature.name
        subject = house.subject.format(
            type=kind, cell=cell.name, title=what, key=house.key, feature=feature
        )
    elif house.conventional:
        subject = f"{kind}({cell.name}): {what} ({house.key})"
    else:
        subject = f"{cell.name}: {what} ({house.key})"
    return "\n".join([subject, *(["", *house.trailers] if house.trailers else [])])


def refuse_bad_message(ctx: CellContext) -> None:
    """Before an agent is paid: a hook that refuses our message would refuse its work. Raises
    PhaseFailed with what the hook says."""
    message = commit_message(ctx)
    why = explain_refused_message(ctx.worktree_repo, message)
    if why is not None:
        subject = message.partition("\n")[0]
        raise ctx.fail(
            f"a hook of {ctx.cell.repo} refuses the message of our commits, {subject!r}: {why}",
            hint=f"[repos.{ctx.cell.repo}] commit_subject (and trailers) in orchestr.toml give "
            'them its form, like "{key}: {title}"',
        )


def is_conventional(subjects: Sequence[str]) -> bool:
    """Whether most subjects have a type; those that git writes by itself do not count."""
    counted = [subject for subject in subjects if not GITS_OWN.match(subject)]
    typed = sum(CONVENTIONAL.match(subject) is not None for subject in counted)
    return typed * 2 > len(counted)


def _base_subjects(ctx: CellContext) -> list[str]:
    """The newest subjects of the base branch; none when there is nothing to look at (yet)."""
    try:
        name = base_branch(ctx)
    except MachineFault:
        raise
    except OrchestrError:
        name = ""
    marker = WorktreeMarker.read(ctx.dir)
    with suppress(OrchestrError):  # no clone yet: `auto` is then plain
        places = [*base_ref_names(name, ctx.repo.remotes.base), name] if name else []
        for rev in [*places, *([marker.base] if marker else [])]:
            with suppress(OrchestrError):  # not there
                return ctx.repo.list_commit_subjects(rev, LOOK_BACK)
    return []
