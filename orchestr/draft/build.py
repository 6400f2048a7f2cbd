"""The action of the task `spec:NAME`: a draft of the intent, by an agent or from a template.

Reads the files once, decides in `orchestr.draft.decide`, and does that one thing. Whoever calls
holds the draft's lease. Up to date is a matter of files alone: doit's row is a memory of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestr.draft.context import DraftWork
from orchestr.draft.decide import DraftStep, decide_draft
from orchestr.draft.files import DraftRecord, digest_bytes, read_draft, read_if_there, write_draft
from orchestr.draft.templates import TemplateFacts, fill_template, find_template
from orchestr.errors import Problem
from orchestr.settings.records import Settings
from orchestr.settings.repo_paths import repo_path
from orchestr.spec.reader import compile_spec
from orchestr.spec.records import Feature
from orchestr.state.journal import utc_timestamp


def build_draft(work: DraftWork) -> tuple[DraftRecord, bool]:
    """The draft of the intent as it is now, and whether it was made anew. Raises SpecError,
    UsageError, OrchestrError, Interrupted."""
    known = read_draft(work.places)
    step, why = decide_draft(known, work.inputs, force=work.force)
    if step is DraftStep.KEEP and known is not None:
        if known.agent:
            from orchestr.draft.ask_agent import close_finished

            close_finished(work, known)
        return known, False
    if step is DraftStep.FILL:
        return _fill_template(work), True
    from orchestr.draft.ask_agent import ask_agent
    from orchestr.draft.read_repos import choose_repositories

    repositories = choose_repositories(work.settings, work.intent.repositories)
    make_repositories(work.settings, repositories)
    work.say(f"{work.name}: {why}; {work.agent_name} reads {', '.join(repositories)}")
    return ask_agent(work, repositories), True


def make_repositories(settings: Settings, names: Sequence[str]) -> None:
    """Clone or create what is made on demand, as the task `repo:NAME` does."""
    from orchestr.cell.phases.clone_repo import RepoMaker

    for name in names:
        known = settings.repo_settings(name)
        if known.url or known.create:
            RepoMaker(settings, name).make()


def _fill_template(work: DraftWork) -> DraftRecord:
    intent = work.intent
    template = find_template(intent.template or "")
    text = fill_template(template, intent.values, make_template_facts(work.settings, work))
    before = digest_bytes(read_if_there(work.places.target))
    record = DraftRecord(
        work.inputs.intent,
        digest_bytes(text.encode()),
        work.inputs.findings,
        before,
        template=template.name,
        drafted_at=utc_timestamp(),
    )
    read_draft_text(work.settings, text.encode(), f"template {template.name}")
    kept = write_draft(work.places, text, record)
    if kept is not None:
        work.say(f"the former draft, as you edited it, is kept as {kept}")
    return record


def make_template_facts(settings: Settings, work: DraftWork) -> TemplateFacts:
    """What a template is filled in with, by the settings and the clones that are there."""
    from orchestr.checks.detect import detect_checks, proposal_as_yaml

    def find_checks(repo: str) -> list[Any] | None:
        import yaml

        if settings.repo_settings(repo).checks:
            return None
        found = detect_checks(repo_path(settings, repo))
        return [yaml.safe_load(proposal_as_yaml(one)) for one in found]

    names = list(work.intent.repositories or settings.repos)
    named = {part.strip() for value in work.intent.values.values() for part in value.split(",")}
    make_repositories(settings, [name for name in names if name in named])
    return TemplateFacts(work.name, work.intent.text, names, find_checks)


def read_draft_text(
    settings: Settings, data: bytes, shown: str
) -> tuple[Feature, Sequence[Problem]]:
    """The feature of a draft and its warnings. Raises SpecError."""
    root, agents = settings.workspace.root, settings.agents.keys()
    return compile_spec(data, shown, digest_bytes(data), agents, root)
