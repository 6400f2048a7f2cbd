"""Set-up and teardown commands of a repository that change what is around their worktree."""

from __future__ import annotations

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both

pytestmark = pytest.mark.slow


def make(workspace: MakeWorkspace, *commands: str, **repo: object) -> Workspace:
    ws = workspace(cells={"one": {}})
    ws.settings(workspace={"repos": "repos"}, repos={"app": {"setup": list(commands), **repo}})
    return ws


def test_settings_hooks_and_specs_are_put_back(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"one": {}})
    common = ws.repos / "app/.git"
    ws.settings(repos={"app": {"setup": [
        f"echo '# x' >> {ws.root}/orchestr.toml; sed -i s/one/two/ {ws.root}/specs/demo.yaml",
        "git config core.hooksPath .husky; git config user.email me@example.org",
        f"mkdir -p {common}/hooks; echo '#!/bin/sh' > {common}/hooks/pre-push",
        "touch node_modules",
    ]}})  # fmt: skip
    guarded = [ws.root / "orchestr.toml", ws.root / "specs/demo.yaml", common / "config"]
    before = [path.read_bytes() for path in guarded]
    said = both(ws.run("run", "demo", code=0))
    assert [path.read_bytes() for path in guarded] == before
    assert not (common / "hooks/pre-push").exists()
    for words in ("while its setup ran, orchestr.toml was changed", "specs/demo.yaml was changed",
                  "(core.hookspath", "the hook "):  # fmt: skip
        assert words in said, said
    assert "if that was you: cp " in said
    assert ws.states() == {"one": "done"}
    assert not (ws.cell_dir("one") / "setting-up.json").exists()


def test_what_a_worktree_needs_stays(workspace: MakeWorkspace) -> None:
    """`git submodule init` and `git lfs install --local`, and what they are set to by others."""
    ws = make(
        workspace,
        "git config submodule.lib.url https://example.org/lib",
        "git config submodule.lib.active true; git config filter.lfs.smudge 'cat evil'",
        "git config filter.lfs.clean 'git-lfs clean -- %f'",
    )
    said = both(ws.run("run", "demo", code=0))
    shown = git(ws.repos / "app", "config", "--local", "--list").splitlines()
    assert "submodule.lib.active=true" in shown and "filter.lfs.clean=git-lfs clean -- %f" in shown
    assert "submodule.lib.url=https://example.org/lib" in shown
    assert "(filter.lfs.smudge)" in said and "filter.lfs.smudge=cat evil" not in shown


def test_a_branch_that_a_setup_moves(workspace: MakeWorkspace) -> None:
    ws = make(workspace, "git branch -f other HEAD")
    git(ws.repos / "app", "branch", "other", git(ws.repos / "app", "commit-tree", "HEAD^{tree}",
                                                 "-m", "mine"))  # fmt: skip
    mine = git(ws.repos / "app", "rev-parse", "other")
    said = both(ws.run("run", "demo", code=1))
    assert git(ws.repos / "app", "rev-parse", "other") == mine
    assert "while its setup ran, branch other was rewritten" in said
    assert "correct [repos.app] setup" in said
    assert ws.starts() == []
    ws.settings(workspace={"repos": "repos"}, repos={"app": {"setup": ["true"]}})
    ws.run("run", "demo", code=0)


def test_a_setup_that_fails_is_put_back_too(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"one": {}})
    ws.settings(repos={"app": {"setup": [f"echo no > {ws.root}/dodo.py; exit 3"]}})
    before = (ws.root / "dodo.py").read_text()
    said = both(ws.run("run", "demo", code=1))
    assert (ws.root / "dodo.py").read_text() == before
    assert "while its setup ran, dodo.py was changed" in said


def test_a_teardown_too(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"one": {}})
    ws.settings(repos={"app": {"teardown": [f"echo no > {ws.root}/dodo.py"]}})
    before = (ws.root / "dodo.py").read_text()
    ws.run("run", "demo", code=0)
    ws.run("clean", "demo", code=0)
    assert (ws.root / "dodo.py").read_text() == before
    reasons = [str(e["data"]["reason"]) for e in ws.journal(kind="cell.warned")]
    assert any("while its teardown ran, dodo.py was changed" in text for text in reasons)
