"""An agent that pushes past what its git may do: its own commits fail it, others are reported."""

from __future__ import annotations

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both

pytestmark = pytest.mark.slow

FREE = 'env -i PATH="$PATH" HOME="$HOME" git -c user.name=a -c user.email=a@b'
COMMIT = f"echo x > a.txt; {FREE} add -A; {FREE} commit -qm x"


def make(workspace: MakeWorkspace, script: str) -> Workspace:
    ws = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}})
    git(ws.repos / "app", "push", "--quiet", "origin", "main:refs/heads/other")
    ws.script("a", script)
    return ws


@pytest.mark.parametrize(
    ("where", "what"),
    [("refs/heads/mine", "branch mine"), ("refs/tags/v9", "tag v9"),
     ("refs/heads/other", "branch other")],
)  # fmt: skip
def test_its_commits_at_the_origin(workspace: MakeWorkspace, where: str, what: str) -> None:
    ws = make(workspace, f"{COMMIT}; {FREE} push -qf origin HEAD:{where}\n")
    ws.run("run", "demo", code=1)
    reason = ws.status()["a"]["reason"]
    assert f"its commits were pushed to {what} at the origin, now " in reason
    assert "that is not put back, a person has to look at it" in reason
    assert ws.branch("a") not in ws.heads()


@pytest.mark.parametrize(
    ("script", "warning"),
    [(f"{FREE} push -q origin main:refs/heads/made", "branch made at the origin was made at"),
     (f"{FREE} push -q origin main:refs/tags/v9", "tag v9 at the origin was made at"),
     (f"{COMMIT}; {FREE} push -q origin HEAD~1:refs/heads/made", "branch made at the origin"),
     (f'{FREE} push -q origin "$({FREE} commit-tree -m x main^{{tree}})":refs/heads/made',
      "branch made at the origin was made at")],
)  # fmt: skip
def test_other_refs_from_this_clone_are_reported(
    workspace: MakeWorkspace, script: str, warning: str
) -> None:
    ws = make(workspace, f"{script}\necho a > a.txt\n")
    said = both(ws.run("run", "demo", code=0))
    assert f"while its agent worked, {warning}" in said
    assert ws.states() == {"a": "done", "b": "done"}


def test_a_branch_that_it_deletes_is_reported_with_what_makes_it_again(
    workspace: MakeWorkspace,
) -> None:
    ws = make(workspace, f"{FREE} push -q origin :other\necho a > a.txt\n")
    app = ws.repos / "app"
    lost = git(app, "commit-tree", "-m", "lost", "main^{tree}")
    git(app, "push", "--quiet", "origin", "--force", f"{lost}:refs/heads/other")
    said = both(ws.run("run", "demo", code=0))
    assert f"branch other at the origin was deleted at {lost[:12]}; git push origin {lost}:" in said


def test_what_others_push_meanwhile_is_theirs(workspace: MakeWorkspace, tmp_path: object) -> None:
    """Their commits are not in this clone; a merged branch is tidied up."""
    ws = make(workspace, "")
    theirs = ws.root / "theirs"
    git(ws.root, "clone", "--quiet", str(ws.repos / "app.git"), str(theirs))
    ws.script("a", f"cd {theirs}; {FREE} commit -q --allow-empty -m theirs\n"
              f"{FREE} push -q origin HEAD:refs/heads/theirs HEAD:refs/tags/v1 :other\n"
              f"cd - > /dev/null; echo a > a.txt\n")  # fmt: skip
    said = both(ws.run("run", "demo", code=0))
    assert "at the origin" not in said


def test_our_own_pushes_are_ours(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {}, "c": {}}, settings={"limits": {"jobs": 2}})
    assert "at the origin" not in both(ws.run("run", "demo", code=0))
