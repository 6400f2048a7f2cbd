"""One draft in one command: its files, its settings, and the run that its agent is driven in.

The machinery of agents (`orchestr.cell.agent.run_agent`) works for a cell of a feature. A draft has
neither yet, so it brings its own: a feature of one cell whose files lie in `.orchestr/drafts/NAME/`
and whose journal, and so whose ledger, lies there too. No spec and no real cell has such a name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestr.cell.budget import RunBudget
from orchestr.cell.context import CellContext, FeatureRun, Overrides
from orchestr.draft.answer import QuestionPart
from orchestr.draft.decide import DraftInputs
from orchestr.draft.files import DraftPlaces, digest_bytes, read_if_there
from orchestr.draft.intent import Intent, parse_intent, read_intent, render_intent
from orchestr.draft.templates import find_template
from orchestr.errors import SpecError, UsageError
from orchestr.files import display_path
from orchestr.plan.dag import make_plan
from orchestr.settings.records import Settings
from orchestr.spec.reader import read_feature
from orchestr.spec.records import Cell, Feature
from orchestr.state import attempts
from orchestr.state.journal import Journal
from orchestr.state.layout import DRAFT, WorkspaceLayout
from orchestr.state.replay import replay

if TYPE_CHECKING:
    from orchestr.draft.repo_map import RepoFacts
    from orchestr.draft.rules import DraftRules

AskPerson = Callable[[Sequence[QuestionPart]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class DraftLayout(WorkspaceLayout):
    """The workspace, with the journal of a draft in the place of its feature's."""

    def worktree_dir(self, feature: str, cell: str) -> Path:
        return self.cell_dir(feature, cell) / "tree"

    def journal_file(self, feature: str) -> Path:
        return self.cell_dir(feature, DRAFT) / "journal.jsonl"


@dataclass(slots=True)
class DraftWork:
    """``ask`` puts the parts of a question to a person, None without one. ``answers`` came on
    the command line, ``say`` shows a line of progress, ``purse`` is the budget of the command."""

    settings: Settings
    layout: WorkspaceLayout
    places: DraftPlaces
    intent: Intent
    inputs: DraftInputs
    say: Callable[[str], None]
    answers: Mapping[str, str] = field(default_factory=dict)
    ask: AskPerson | None = None
    force: bool = False
    agent: str | None = None
    model: str | None = None
    purse: RunBudget | None = None
    effort: str | None = None
    runs: list[FeatureRun] = field(default_factory=list)  # for who stops them

    @property
    def name(self) -> str:
        return self.places.name

    @property
    def agent_name(self) -> str:
        """The agent that drafts: the command line's, the settings' for drafts, the default one.
        Raises UsageError."""
        named = self.agent or self.settings.draft.agent or self.settings.default_agent
        if named is None or named not in self.settings.agents:
            known = ", ".join(self.settings.agents) or "none"
            raise UsageError(
                f"there is no agent {named!r} to draft with" if named else "no agent drafts here",
                hint=f"[draft] agent in orchestr.toml (agents: {known}); without one: "
                f"orchestr draft {self.name} --no-agent",
            )
        return named


def load_inputs(
    settings: Settings, places: DraftPlaces, unwritten: Intent | None = None
) -> tuple[Intent, DraftInputs]:
    """The intent as it is now, and the digests that a draft of it has; ``unwritten`` is one whose
    file is still to be written. Raises SpecError."""
    root = settings.workspace.root
    if unwritten is None:
        intent = read_intent(places.intent, places.name, root)
        text = read_if_there(places.intent) or b""
    else:
        text = render_intent(unwritten)
        intent = parse_intent(places.name, text, display_path(places.intent, root))
    template = b""
    if intent.template is not None:
        template = find_template(intent.template).data
    whole = json.dumps([digest_bytes(text), digest_bytes(template)]).encode()
    findings = digest_bytes(read_if_there(places.findings))
    inputs = DraftInputs(digest_bytes(whole), findings, intent.template is not None)
    newest = attempts.newest_plan(places.folder)
    if newest is not None and newest.is_open and newest.key == inputs.key:
        inputs = replace(inputs, begun=-newest.number)
    return intent, inputs


def make_draft_run(work: DraftWork, repositories: Sequence[str]) -> CellContext:
    """The context that the drafting agent is driven in; its repository is the first one."""
    layout = DraftLayout.from_settings(work.settings)
    agent = work.agent_name
    cell = Cell(name=DRAFT, repo=repositories[0], branch="draft", agent=agent)
    feature = Feature(work.name, work.name, f"draft of {work.name}", (cell,))
    journal = Journal(layout.journal_file(work.name))
    model = work.model or work.settings.draft.model
    chosen = Overrides(model, agent, work.settings.draft.timeout, effort=work.effort)
    run = FeatureRun(work.settings, layout, feature, make_plan(feature), journal, overrides=chosen)
    run.past, run.past_size = replay(journal.read()), journal.size()
    run.purse = work.purse
    work.runs.append(run)
    return run.cell_context(DRAFT)


def make_rules(work: DraftWork, facts: Mapping[str, RepoFacts]) -> DraftRules:
    """What a draft is judged by, whoever wrote it; ``facts`` is the map of the repositories."""
    from orchestr.draft.rules import DraftRules  # reads YAML; most commands draft nothing

    settings, target = work.settings, work.places.target
    root = settings.workspace.root
    try:
        existing = read_feature(target, root=root)[0]  # the spec that it changes
    except SpecError:
        existing = None
    return DraftRules(work.name, root, "draft", tuple(settings.agents), facts, existing)
