"""A draft that another program wrote: judged as an agent's is; its approval is a person's.

No agent is started and nothing is cloned. Whoever calls holds the draft's lease. Nothing is written
for a refused one. The spec is written before the record that makes it count, so a kill leaves the
former draft or the new one.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestr.draft.context import DraftWork, make_rules
from orchestr.draft.files import DraftRecord, digest_bytes, read_draft, read_if_there, write_draft
from orchestr.draft.read_repos import choose_repositories, read_facts
from orchestr.draft.rules import read_drafted_spec
from orchestr.errors import UsageError
from orchestr.settings.repo_paths import repo_path
from orchestr.spec.records import Feature
from orchestr.state.journal import utc_timestamp


def hand_in_draft(
    work: DraftWork,
    text: str,
    author: str,
    *,
    replace: bool = False,
    write_intent: Callable[[], None] = lambda: None,
) -> tuple[DraftRecord, Feature, bool]:
    """Keep ``text`` as the draft of the intent; the last value says whether it was not so already.
    ``write_intent`` is called once the text is found good, before the draft is written.

    Raises SpecError with every problem of the text, UsageError where an agent of ours is at work on
    the draft, or has made it and ``replace`` was not asked for.
    """
    _refuse_other_author(work, replace=replace)
    names = choose_repositories(work.settings, work.intent.repositories)
    there = [name for name in names if repo_path(work.settings, name).is_dir()]
    if not there:
        raise UsageError(
            f"no clone is here yet of {', '.join(names)}", hint=f"orchestr run repo:{names[0]}"
        )
    facts = read_facts(work.settings, there, {})
    feature = read_drafted_spec(text, make_rules(work, facts))
    write_intent()
    digest = digest_bytes(text.encode())
    known = read_draft(work.places)
    if known is not None and (known.intent, known.findings, known.spec) == (
        work.inputs.intent, work.inputs.findings, digest,
    ):  # fmt: skip
        return known, feature, False
    record = DraftRecord(
        work.inputs.intent,
        digest,
        work.inputs.findings,
        digest_bytes(read_if_there(work.places.target)),
        heads={name: fact.head for name, fact in facts.items()},
        drafted_at=utc_timestamp(),
        author=author,
    )
    kept = write_draft(work.places, text, record)
    if kept is not None:
        work.say(f"the former draft, as it was edited, is kept as {kept}")
    return record, feature, True


def _refuse_other_author(work: DraftWork, *, replace: bool) -> None:
    """An agent of ours was paid for its draft: it is not replaced without a word."""
    if work.inputs.begun:
        raise UsageError(
            f"an agent drafts {work.name}, or waits for an answer",
            hint=f"orchestr draft {work.name} goes on, orchestr forget spec:{work.name} ends it",
        )
    known = read_draft(work.places)
    if known is None or known.author or known.approved_at or replace:
        return
    if known.intent == work.inputs.intent:
        by = known.agent or f"the template {known.template}"
        raise UsageError(
            f"there is a draft of {work.name} already, by {by}",
            hint=f"orchestr approve spec:{work.name} shows it; replace it on purpose, or leave it",
        )
