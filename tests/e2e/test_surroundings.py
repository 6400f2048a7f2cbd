"""What a run is warned of beforehand: tools, variables, git-lfs, an identity, message hooks."""

from __future__ import annotations

import subprocess

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.test_commit_messages import strict
from tests.e2e.test_odd_repositories import app
from tests.e2e.workspace import Workspace, both
from tests.hostile.bystander import Bystander


def warned(ws: Workspace, words: str, **env: str) -> bool:
    """Whether plan, a dry run and doctor warn; they agree, and none of it is an error."""
    seen = {
        f"warning: {words}" in both(ws.run(*look, env=env))
        for look in (["plan", "demo"], ["run", "demo", "--dry-run"], ["doctor"])
    }
    assert len(seen) == 1, words
    return seen.pop()


def test_tools_and_variables_that_are_not_there(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    tools = ["nosuchtool test", "git log", "./mvnw", "make*"]
    ws.settings(
        repos={"app": {"tools": tools}}, agents={"sh": {"pass_env": ["DEMO_TOKEN", "FLAVOUR"]}}
    )
    assert warned(ws, "[repos.app] tools: nosuchtool is not there")
    assert warned(ws, "[repos.app] tools: ./mvnw is not there")
    assert not warned(ws, "[repos.app] tools: git")
    assert warned(ws, "agent sh is to see DEMO_TOKEN (pass_env), which is not set")
    assert not warned(ws, "agent sh is to see FLAVOUR")  # unset may be a choice
    assert not warned(ws, "agent sh is to see DEMO_TOKEN", DEMO_TOKEN="x")
    ws.run("run", "demo", code=0)
    assert "DEMO_TOKEN" not in ws.run("plan", "demo", code=0).stderr  # nothing is left to do


def test_git_lfs_that_is_not_installed(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    there = subprocess.run(["git", "lfs", "version"], capture_output=True, check=False)
    assert not warned(ws, "app: it uses git-lfs")
    app(ws).commit({"art/.gitattributes": "*.png filter=lfs diff=lfs merge=lfs -text\n"}, push=True)
    assert warned(ws, "app: it uses git-lfs, which is not installed") == (there.returncode != 0)


def test_a_person_without_a_name(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    nobody = ws.root / "nobody.gitconfig"
    nobody.write_text("[user]\n\tname = Only A Name\n")
    words = "app: git knows no user.email; commits of ours get a stand-in"
    assert warned(ws, words, GIT_CONFIG_GLOBAL=str(nobody))
    assert not warned(ws, words, GIT_CONFIG_GLOBAL=str(nobody), EMAIL="me@example.org")
    assert not warned(ws, words)


def test_a_message_hook_is_tried_beside_the_checkout(workspace: MakeWorkspace) -> None:
    """With the settings at the top of the base, and without touching what a person works on."""
    ws = workspace(cells={"a": {}})
    form = 'head -n 1 "$1" | grep -q "$(cat form.txt)" || { echo "not of the form"; exit 1; }\n'
    app(ws).commit({"form.txt": "^T-1: \n"}, push=True)
    Bystander.furnish(app(ws))
    strict(ws, text=form.replace("{", "{{").replace("}", "}}"))
    (ws.repos / "app" / "form.txt").write_text("anything\n")
    before = Bystander.of(app(ws))
    words = (
        "app: a hook refuses the message of our commits, 'a: The demo (T-1)': commit-msg: not of"
    )
    assert warned(ws, words)
    assert Bystander.of(app(ws)) == before
    ws.settings(repos={"app": {"commit_subject": "{key}: {title}"}})
    assert not warned(ws, "app: a hook refuses")
    ws.run("run", "demo", code=0)
    assert git(ws.repos / "app.git", "log", "-1", "--format=%s", "T-1-a") == "T-1: The demo"
