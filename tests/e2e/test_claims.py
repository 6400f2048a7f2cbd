"""Two cells that may change the same paths: a warning, refused where the queue would merge them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.workspace import FEATURE, Workspace, both

Make = Callable[..., Workspace]
API: dict[str, Any] = {"owned_paths": ["docs/**", "src/**"]}
UI: dict[str, Any] = {"owned_paths": ["web/**", "src/ui.txt"]}
WORDS = (
    "api (src/**) and ui (src/ui.txt) may change the same paths, and neither depends on the other"
)
HINT = "  hint: write `depends_on: [api]` in ui ({}), or narrow owned_paths"


def line_of(ws: Workspace, text: str) -> int:
    lines = (ws.root / "specs" / f"{FEATURE}.yaml").read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if text in line)


def hint_of(ws: Workspace) -> str:
    return HINT.format(f"specs/{FEATURE}.yaml:{line_of(ws, '  ui:')}")


def test_open_pull_requests_are_warned_about(workspace: Make) -> None:
    ws = workspace(cells={"api": API, "ui": UI})
    place = f"specs/{FEATURE}.yaml:{line_of(ws, 'src/ui.txt')}:7"
    told = ws.run("plan", FEATURE, code=0).stdout
    assert f"\n{place}: warning: {WORDS}\n{hint_of(ws)}\n" in told
    assert f"{place}: warning: {WORDS}" in ws.run("validate", code=0).stdout
    for cell, path in (("api", "src/api.txt"), ("ui", "web/ui.txt")):
        ws.script(cell, f"mkdir -p {path.rpartition('/')[0]}; echo x > {path}")
    done = ws.run("run", FEATURE, code=0)
    assert f"warning: {place}: {WORDS}" in both(done)
    assert ws.states() == {"api": "done", "ui": "done"}


@pytest.mark.parametrize("form", ["orchestr", "opentdf"])
def test_what_the_queue_would_merge_is_an_error_before_anything_starts(
    workspace: Make, form: str
) -> None:
    ws = workspace(cells={"api": API, "ui": UI}, delivery="merge")
    if form == "opentdf":
        ws.edit_spec("orchestr/v1", "opentdf.io/v1alpha1")
        ws.edit_spec("\ncells:", "\nrepos:")
        for cell in ("api", "ui"):
            ws.edit_spec(f"  {cell}:\n    repo:", f"  {cell}:\n    path:")
    place = f"specs/{FEATURE}.yaml:{line_of(ws, 'src/ui.txt')}:7"
    told = ws.run("plan", FEATURE, code=2).stdout
    assert f"\n{place}: error: {WORDS}\n{hint_of(ws)}\n" in told
    value = json.loads(ws.run("plan", FEATURE, "--json", code=2).stdout)
    assert value["overlaps"] == [{"cell_a": "api", "cell_b": "ui",
                                  "pattern_a": "src/**", "pattern_b": "src/ui.txt",
                                  "hint": hint_of(ws).strip().removeprefix("hint: ")}]  # fmt: skip
    told = ws.run("validate", code=2).stdout
    assert f"{place}: error: {WORDS}\n{hint_of(ws)}\n" in told and "good" not in told
    done = ws.run("run", FEATURE, "--yes", code=2)
    assert f"error: {place}: {WORDS}\n{hint_of(ws)}\n" in done.stderr
    assert ws.starts() == [] and ws.journal() == []
    assert not ws.worktree("api").exists()


@pytest.mark.parametrize("cure", ["edge", "paths"])
def test_an_edge_or_narrower_paths_mend_it(workspace: Make, cure: str) -> None:
    ui = {"depends_on": ["api"], **UI} if cure == "edge" else {"owned_paths": ["web/**"]}
    ws = workspace(cells={"api": API, "ui": ui}, delivery="merge")
    assert "may change the same paths" not in ws.run("plan", FEATURE, code=0).stdout
    assert "good: feature demo" in ws.run("validate", code=0).stdout
