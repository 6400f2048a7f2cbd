"""The calls of a hand-off, one after the other, each written down with its answer.

The record is written before the first call and after each. An action without a result is looked at
again: the forge is asked first, so that a call which got through before a kill is not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from orchestr.cell.context import FeatureRun
from orchestr.cell.pull_request.chosen_base import ChosenBase
from orchestr.codec import replace
from orchestr.errors import OrchestrError
from orchestr.forges.base import PRState, PullRequest
from orchestr.forges.followed import DressingForge
from orchestr.handoff.decide import differing_fields, find_change_since
from orchestr.handoff.records import ActionKind, HandoffAction, HandoffRecord, PullRequestText
from orchestr.spec.phases import Phase
from orchestr.state.events import EventKind
from orchestr.state.journal import utc_timestamp

Listener = Callable[[HandoffAction], None]


def find_pull_requests(
    run: FeatureRun, texts: tuple[PullRequestText, ...]
) -> dict[str, PullRequest]:
    """The pull requests as they are now, by address; one question a repository.

    Raises OrchestrError when one is gone, ForgeAway.
    """
    found: dict[str, PullRequest] = {}
    by_repo: dict[str, list[PullRequestText]] = {}
    for text in texts:
        by_repo.setdefault(text.repo, []).append(text)
    for mine in by_repo.values():
        contexts = [run.cell_context(text.cell) for text in mine]
        branches = [ctx.cell.branch for ctx in contexts]
        answer = run.forge.find_pull_requests(contexts[0].repo_ref, branches)
        found |= {pr.url: pr for prs in answer.values() for pr in prs}
    gone = [text.url for text in texts if text.url not in found]
    if gone:
        raise OrchestrError(
            f"{', '.join(gone)}: gone", hint=f"orchestr status {run.feature.name} --fetch"
        )
    return found


def refuse_changes(run: FeatureRun, texts: tuple[PullRequestText, ...],
                   prs: Mapping[str, PullRequest]) -> None:  # fmt: skip
    """Raises OrchestrError when someone changed what the person has seen; nothing was done."""
    changes = [why for text in texts if (why := find_change_since(text, prs[text.url]))]
    if changes:
        raise OrchestrError(
            f"{'; '.join(changes)} since the texts were shown; nothing was sent",
            hint=f"orchestr handoff {run.feature.name} shows them as they are now",
        )


def carry_out(
    run: FeatureRun,
    record: HandoffRecord,
    path: Path,
    prs: dict[str, PullRequest],
    listener: Listener,
) -> HandoffRecord:
    """Do what has no result yet, but for the landing. Returns the record with the results.

    Raises ForgeError, ForgeAway: the record then shows what was done, and the same command goes on.
    """
    texts = {text.url: text for text in record.texts}
    for index, action in enumerate(record.actions):
        if action.result is not None or action.kind is ActionKind.LAND:
            continue
        result = _perform(run, action, texts[action.url], prs)
        done = replace(action, result=result, at=utc_timestamp())
        actions = (*record.actions[:index], done, *record.actions[index + 1 :])
        record = replace(record, actions=actions)
        record.write(path)
        listener(done)
    return record


def _perform(
    run: FeatureRun, action: HandoffAction, text: PullRequestText, prs: dict[str, PullRequest]
) -> str:
    ctx, pr = run.cell_context(text.cell), prs[text.url]
    if pr.state is not PRState.OPEN:
        return f"nothing: it is {pr.state}"
    if action.kind is ActionKind.EDIT:
        if text.changes_base:  # first, so that no later run puts the other one back
            ChosenBase(text.base, text.own_base).write(ctx.dir)
        fields = differing_fields(text, pr)
        if not fields:
            return "it is so already"
        wanted = {name: getattr(text, name) for name in fields}
        shown = run.forge.edit_pull_request(ctx.repo_ref, pr.number, **wanted)
        result = f"edited: {', '.join(fields)}"
    else:
        forge = run.forge
        if not pr.draft:
            return "it is so already"
        if not isinstance(forge, DressingForge):
            raise refuse_ready(run)
        shown = forge.mark_ready(ctx.repo_ref, pr.number)
        result = "ready for review"
    prs[text.url] = shown
    ctx.emit(EventKind.PR_UPDATED, phase=Phase.PUBLISH, url=shown.url, draft=shown.draft)
    return result


def refuse_ready(run: FeatureRun) -> OrchestrError:
    """The refusal of a forge that cannot mark a draft ready."""
    return OrchestrError(
        f"the forge `{run.forge.kind}` cannot mark pull requests ready",
        hint=f"orchestr handoff {run.feature.name} --leave, and mark them ready on its page",
    )
