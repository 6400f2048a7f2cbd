"""Cell contexts without a workspace: records in, a `CellContext` out. No git, no agent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.checks.kinds.command import CommandCheck
from orchestr.checks.kinds.pytest import PytestCheck
from orchestr.plan.dag import make_plan
from orchestr.settings.records import AgentSettings, RepoSettings, Settings, WorkspaceSettings
from orchestr.spec.checks import Contract, ProofRequirements, Reviewer
from orchestr.spec.records import Cell, Feature
from orchestr.state.journal import Journal
from orchestr.state.layout import WorkspaceLayout

ROOT = Path("/w")  # of paths that a digest contains


def command(*run: str) -> CommandCheck:
    """A check that runs a program."""
    return CommandCheck(name=run[0], timeout=60.0, run=run)


def full_cell() -> Cell:
    """A cell that sets every input of every phase."""
    return Cell(
        "api",
        "app",
        "F-1-api",
        todo=("add it", "test it"),
        title="Add it",
        base="main",
        agent="clever",
        model="large",
        owned_paths=("src/",),
        proof=ProofRequirements(
            checks=(command("make", "test"),),
            screenshots=(command("make", "picture"),),
            reviewers=(Reviewer("clever", "strict", "large"),),
            shared_paths=("go.mod",),
        ),
    )


@dataclass(frozen=True)
class Spec:
    """One cell with its feature and settings; a test changes one value of it."""

    cell: Cell = field(default_factory=full_cell)
    feature: dict[str, Any] = field(
        default_factory=lambda: {
            "title": "A feature",
            "jira": "F-1",
            "scenarios": ("s.yaml",),
            "contracts": (Contract("api/**", "api"),),
        }
    )
    repo: RepoSettings = field(
        default_factory=lambda: RepoSettings(
            "app",
            path=ROOT / "app",
            base="trunk",
            setup=("make deps",),
            link=(".env",),
            copy=("conf",),
            checks=(PytestCheck(name="tests", timeout=60.0),),
        )
    )
    agents: tuple[AgentSettings, ...] = (AgentSettings("clever", "command", model="small"),)
    default_agent: str | None = None

    def with_cell(self, **values: Any) -> Spec:
        return replace(self, cell=replace(self.cell, **values))

    def with_proof(self, **values: Any) -> Spec:
        return self.with_cell(proof=replace(self.cell.proof, **values))

    def with_feature(self, **values: Any) -> Spec:
        return replace(self, feature={**self.feature, **values})

    def with_repo(self, **values: Any) -> Spec:
        return replace(self, repo=replace(self.repo, **values))

    def with_agent(self, agent: AgentSettings) -> Spec:
        return replace(self, agents=(*self.agents, agent))

    def context(self, root: Path) -> CellContext:
        """The cell of a run whose state is below ``root``."""
        workspace = WorkspaceSettings(root, root / "specs", root / "s", root / "t", root / "repos")
        settings = Settings(
            workspace,
            {self.repo.name: self.repo},
            {agent.name: agent for agent in self.agents},
            default_agent=self.default_agent,
        )
        feature = Feature("f", "F-1", cells=(self.cell,), **self.feature)
        layout = WorkspaceLayout.from_settings(settings)
        run = FeatureRun(settings, layout, feature, make_plan(feature), Journal(root / "j.jsonl"))
        context = run.cell_context(self.cell.name)
        context.dir.mkdir(parents=True, exist_ok=True)
        return context


BARE = Spec(Cell("api", "app", "F-1-api"), {"title": "A feature"}, RepoSettings("app"), agents=())
