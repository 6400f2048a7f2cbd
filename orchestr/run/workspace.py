"""What every verb starts from: the workspace, its specs, targets, and our task loader.

The verbs are doit commands. Under `orchestr` the tasks come from `specs/`; under plain `doit`
the dodo's own tasks stand beside them. In a dodo that is not ours all of this is inert
(`orchestr.tasks.plain_doit`).
"""

from __future__ import annotations

import difflib
import fnmatch
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from orchestr.cell.commands import declare_commands
from orchestr.cell.context import CellContext, FeatureRun, Overrides
from orchestr.cell.phases.former_names import former_cell_names, note_former_names
from orchestr.cell.removed_cells import find_removed_cells
from orchestr.errors import OrchestrError, Problem, SpecError, UsageError
from orchestr.plan.dag import make_plan
from orchestr.settings.loader import find_workspace, load_settings
from orchestr.settings.records import RepoSettings, Settings
from orchestr.spec.goal_names import DRAFT_PREFIX, FEATURE_PREFIX
from orchestr.spec.phases import Action, Phase
from orchestr.spec.reader import SpecSet, read_all_specs
from orchestr.spec.records import AUDIT, Feature
from orchestr.state.events import Event
from orchestr.state.journal import Journal
from orchestr.state.layout import WorkspaceLayout
from orchestr.state.replay import median_durations, replay
from orchestr.views.terminal.output import print_stderr


@dataclass(frozen=True, slots=True)
class Target:
    """`[feature:]FEATURE[:CELL[:PHASE]]`, checked against the specs.

    ``step`` is a step of the whole feature, `FEATURE:audit`; it has no cell.
    """

    feature: str
    cell: str | None = None
    phase: str | None = None
    step: str | None = None

    def __str__(self) -> str:
        return ":".join(p for p in (self.feature, self.cell, self.phase, self.step) if p)

    @property
    def task_name(self) -> str:
        return FEATURE_PREFIX + str(self)


class Session:
    """One command of a user in one workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings: Settings = self._load_settings()
        self.layout = WorkspaceLayout.from_settings(self.settings)
        self._runs: dict[str, FeatureRun] = {}

    def _load_settings(self) -> Settings:
        """The settings, after what agents of a killed run did to specs and settings was undone."""
        try:
            settings = load_settings(self.root, os.environ)
            layout, places = WorkspaceLayout.from_settings(settings), settings.workspace
        except OrchestrError:  # perhaps by such an agent: then the state is where it usually is
            state = Path(os.environ.get("ORCHESTR_HOME") or self.root / ".orchestr")
            layout, places = WorkspaceLayout(self.root, state, state / "worktrees"), None
        if next(layout.picture_file.parent.glob("*.json"), None) is None:
            return load_settings(self.root, os.environ) if places is None else settings
        from orchestr.cell.worktree.workspace_guard import recover_workspace

        found = recover_workspace(layout, places)
        texts = [*found.harm, *found.restored, *found.personal]
        if not found.is_held:
            from orchestr.cell.worktree.clone_recovery import recover_clones

            texts += recover_clones(layout)
        for text in texts:
            print_stderr(f"warning: {text}")
        return load_settings(self.root, os.environ)

    @classmethod
    def from_cwd(cls) -> Session:
        """The workspace around the current folder. Raises UsageError, SpecError."""
        return cls(find_workspace(Path.cwd()))

    @cached_property
    def specs(self) -> SpecSet:
        """All specs, read once; broken ones are in `.problems`."""
        return read_all_specs(self.settings)

    def find_feature(self, name: str) -> Feature:
        """A feature by name. Raises SpecError when its spec is broken, UsageError when unknown."""
        found = self.specs.features.get(name)
        if found is not None:
            note_former_names(self.layout, found)
            return found
        if self.specs.problems and not self.specs.features:
            raise SpecError(self.specs.problems)
        mine = [p for p in self.specs.problems if Path(p.spec_file).stem == name]
        if mine:
            raise SpecError(mine)
        raise UsageError(
            f"there is no feature {name!r} in {self.settings.workspace.specs}",
            hint=suggest_name(name, self.specs.features) or "orchestr list",
        )

    def parse_target(self, word: str, *, steps: bool = False) -> Target:
        """Read a target; with ``steps`` it may be a step of the whole feature. Raises UsageError
        with the nearest name."""
        if word.startswith(DRAFT_PREFIX):
            raise UsageError(
                f"{word} is the draft of a spec, and no feature yet",
                hint=f"orchestr info {word}; to build the feature: orchestr approve {word}",
            )
        parts = word.removeprefix(FEATURE_PREFIX).split(":")
        feature = self.find_feature(parts[0])
        if len(parts) > 3:
            raise UsageError(f"{word!r} has too many parts", hint="FEATURE[:CELL[:PHASE]]")
        if len(parts) == 1:
            return Target(feature.name)
        names = [cell.name for cell in feature.cells]
        if parts[1] == AUDIT and feature.has_audit:
            if steps and len(parts) == 2:
                return Target(feature.name, step=AUDIT)
            raise UsageError(
                f"{AUDIT} is the last step of {feature.name}, and no cell",
                hint=f"orchestr run {feature.name}:{AUDIT}",
            )
        if parts[1] not in names:
            hint = suggest_name(parts[1], names) or f"cells: {', '.join(names)}"
            gone = find_removed_cells(self.layout, feature, everything=True)
            hint = next((cell.remedy for cell in gone if cell.name == parts[1]), hint)
            raise UsageError(f"feature {feature.name} has no cell {parts[1]!r}", hint=hint)
        if len(parts) == 2:
            return Target(feature.name, parts[1])
        known = feature.cell(parts[1]).task_phases
        if parts[2] == Phase.PLAN and parts[2] not in known:
            raise UsageError(
                f"cell {feature.name}:{parts[1]} has no phase {parts[2]!r}",
                hint="give it `approve: plan` in the spec, or list `plan` in its `phases`",
            )
        if parts[2] not in known:
            raise UsageError(f"there is no phase {parts[2]!r}", hint=f"phases: {', '.join(known)}")
        return Target(feature.name, parts[1], parts[2])

    def parse_targets(self, words: Sequence[str], *, steps: bool = False) -> list[Target]:
        """Every target; `*` at the end of a name matches as in the shell."""
        found: list[Target] = []
        for word in words:
            single = "*" not in word
            found += [self.parse_target(word, steps=steps)] if single else self._match_pattern(word)
        return list(dict.fromkeys(found))

    def _match_pattern(self, word: str) -> list[Target]:
        pattern = word.removeprefix(FEATURE_PREFIX)
        every = [
            target
            for feature in self.specs.features.values()
            for cell in feature.cells
            for target in (
                Target(feature.name),
                Target(feature.name, cell.name),
                *(Target(feature.name, cell.name, phase) for phase in cell.task_phases),
            )
        ]
        found = [t for t in every if fnmatch.fnmatchcase(str(t), pattern)]
        level = pattern.count(":")
        found = [t for t in found if str(t).count(":") == level]
        if not found:
            raise UsageError(f"nothing matches {word!r}", hint="orchestr list --all")
        return list(dict.fromkeys(found))

    def find_spec_warnings(self, feature: Feature) -> list[Problem]:
        """What is odd in the file of a feature."""
        return [warning for warning in self.specs.warnings if warning.spec_file == feature.path]

    def open_journal(self, feature: str, run: str = "") -> Journal:
        record = self.specs.features.get(feature)
        names = former_cell_names(self.layout, record) if record is not None else None
        return Journal(self.layout.journal_file(feature), run=run, names=names)

    def read_events(self, feature: str) -> list[Event]:
        """Every event of a feature so far."""
        return list(self.open_journal(feature).read())

    def load_run(self, feature: str, *, overrides: Overrides | None = None) -> FeatureRun:
        """The run record of a feature, made once; nothing is started by it."""
        if feature not in self._runs:
            self._runs[feature] = self.make_run(self.find_feature(feature), overrides)
        return self._runs[feature]

    def make_run(self, record: Feature, overrides: Overrides | None = None) -> FeatureRun:
        """The run record of a feature, which need not be among the specs (a draft)."""
        size = self.open_journal(record.name).size()
        events = self.read_events(record.name)
        run = FeatureRun(
            declare_commands(locate_pushed_repositories(self.settings, record), record),
            self.layout,
            record,
            make_plan(record, median_durations(events)),
            self.open_journal(record.name),
            overrides=overrides or Overrides(),
        )
        run.past, run.past_size = replay(events), size
        return run

    def select_cells(self, targets: Iterable[Target]) -> list[CellContext]:
        """The cells that targets name, a feature standing for all of its own."""
        found: dict[str, CellContext] = {}
        for target in targets:
            run = self.load_run(target.feature)
            for plan in run.plan.cells:
                if target.cell in (None, plan.name):
                    found[f"{target.feature}:{plan.name}"] = run.cell_context(plan.name)
        return list(found.values())

    def select_cell(self, word: str) -> CellContext:
        """Exactly one cell. Raises UsageError when a target names a whole feature."""
        target = self.parse_target(word)
        if target.cell is None:
            names = ", ".join(c.name for c in self.find_feature(target.feature).cells)
            raise UsageError(f"{word!r} is a feature; name one of its cells", hint=names)
        return self.load_run(target.feature).cell_context(target.cell)


def locate_pushed_repositories(settings: Settings, feature: Feature) -> Settings:
    """The settings, with the workspace's own repository for what `action: push` cells push.

    A scenario lies beside its spec: the clone around the workspace is meant, whatever it is called,
    unless the settings say where the repository is or a clone of that name is among the others.
    """
    found: dict[str, RepoSettings] = {}
    for name in sorted({c.repo for c in feature.cells if c.action is Action.PUSH}):
        known = settings.repo_settings(name)
        said = known.path or known.url or known.create
        if not said and not (settings.workspace.repos / name).exists():
            top = find_git_root(settings.workspace.root)
            if top is not None:
                found[name] = replace(known, path=top)
    return replace(settings, repos={**settings.repos, **found}) if found else settings


def find_git_root(folder: Path) -> Path | None:
    """The top of the git checkout that ``folder`` is in, or None. An empty folder `.git`, which
    sandboxes of agents leave behind, makes no checkout."""
    return next((f for f in (folder, *folder.parents) if _has_git_place(f / ".git")), None)


def _has_git_place(place: Path) -> bool:
    return place.is_file() or (place / "HEAD").exists()


def suggest_name(word: str, known: Iterable[str]) -> str | None:
    """`did you mean ...?`, or None."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else None
