"""Linking writes the bodies that `publish` writes, and reads each cell's records once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestr import files
from orchestr.cell.context import FeatureRun
from orchestr.cell.phases.link_pull_requests import link_pull_requests, read_addresses
from orchestr.cell.pull_request.text import body_block
from orchestr.forges.base import PRState, PullRequest, RepoRef
from orchestr.forges.body_markers import splice_block
from orchestr.plan.dag import make_plan
from orchestr.settings.records import RepoSettings, Settings, WorkspaceSettings
from orchestr.spec.records import Cell, Feature
from orchestr.state.journal import Journal
from orchestr.state.layout import WorkspaceLayout
from orchestr.state.results import (
    NO_PR,
    HeadRecord,
    ImplementOutcome,
    PublishRecord,
    WorktreeMarker,
)

CELLS = 30
UNPUBLISHED = "c7"
AT = "2026-01-01T00:00:00+00:00"


class MemoryForge:
    """The two questions of a forge that linking asks."""

    def __init__(self, prs: list[PullRequest]) -> None:
        self.prs = {pr.number: pr for pr in prs}

    def find_pull_requests(self, repo: RepoRef, heads: Collection[str]) -> Any:
        return {pr.head: (pr,) for pr in self.prs.values() if pr.head in heads}

    def edit_pull_request(self, repo: RepoRef, number: int, **new: Any) -> PullRequest:
        given = {name: value for name, value in new.items() if value is not None}
        self.prs[number] = replace(self.prs[number], **given)
        return self.prs[number]


def make_run(root: Path) -> tuple[FeatureRun, MemoryForge]:
    """A feature of a chain and of cells beside it, all published but one."""
    cells = tuple(
        Cell(f"c{n}", "app", f"F-1-c{n}", depends_on=(f"c{n - 1}",) if 0 < n < CELLS // 2 else ())
        for n in range(CELLS)
    )
    workspace = WorkspaceSettings(root, root / "specs", root / "s", root / "t", root / "repos")
    settings = Settings(workspace, {"app": RepoSettings("app")}, {})
    feature = Feature("f", "F-1", "A feature", cells)
    layout = WorkspaceLayout.from_settings(settings)
    run = FeatureRun(settings, layout, feature, make_plan(feature), Journal(root / "j.jsonl"))
    prs = []
    for number, cell in enumerate(cells, 1):
        folder = run.cell_context(cell.name).dir
        folder.mkdir(parents=True)
        WorktreeMarker(cell.branch, "b" * 40, "main", {}, "p").write(folder)
        outcome = ImplementOutcome.CHANGED
        HeadRecord("a" * 40, "c" * 40, "b" * 40, cell.branch, outcome).write(folder)
        if cell.name == UNPUBLISHED:
            continue
        url = f"https://forge.example/pull/{number}/"
        PublishRecord("k", "a" * 40, url).write(folder)
        prs.append(PullRequest(number, url, cell.name, "", cell.branch, "main", "a" * 40, True,
                               PRState.OPEN, AT, AT))  # fmt: skip
    forge = MemoryForge(prs)
    run._forge = forge  # type: ignore[assignment]
    return run, forge


def test_every_body_is_what_publish_writes(tmp_path: Path) -> None:
    run, forge = make_run(tmp_path)
    urls = read_addresses(run, [cell.name for cell in run.feature.cells])
    assert [name for name, url in urls.items() if url == NO_PR] == [UNPUBLISHED]
    link_pull_requests(run, urls)
    for pr in forge.prs.values():
        assert pr.body == splice_block("", body_block(run.cell_context(pr.title)))
        assert pr.body.count("https://forge.example/") >= CELLS - 2


def test_no_record_is_read_again_for_every_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = make_run(tmp_path)
    reads: Counter[Path] = Counter()
    load = files._load_cached

    def count(path: Path, how: Any) -> Any:
        reads[path] += 1
        return load(path, how)

    monkeypatch.setattr(files, "_load_cached", count)
    link_pull_requests(run, read_addresses(run, [cell.name for cell in run.feature.cells]))
    assert reads and max(reads.values()) < CELLS / 2
