"""Hooks that want messages of a form: tried before an agent is paid, and there is a setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.test_publishing import install_hook
from tests.e2e.workspace import Workspace, both, nothing_to_do

WANTS_KEY_FIRST = """\
echo judged >> "{root}/judged"
head -n 1 "$1" | grep -qE '^T-1: ' && exit 0
echo 'a subject begins with its key and a colon' >&2
exit 1
"""


def strict(ws: Workspace, name: str = "commit-msg", text: str = WANTS_KEY_FIRST) -> Path:
    return install_hook(ws.repos / "app", name, text.format(root=ws.root))


def subjects(ws: Workspace, cell: str) -> list[str]:
    return git(ws.repos / "app.git", "log", "--format=%s", f"main..T-1-{cell}").splitlines()


def test_a_hook_that_refuses_our_message_is_met_before_the_agent(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    strict(ws)
    done = both(ws.run("run", "demo", code=1))
    assert (
        "a hook of app refuses the message of our commits, 'a: The demo (T-1)': commit-msg: "
        in done
    )
    assert "a subject begins with its key and a colon" in done
    assert "[repos.app] commit_subject" in done
    assert ws.starts() == []

    ws.settings(repos={"app": {"commit_subject": "{key}: {title}"}})  # what the hint says
    ws.run("run", "demo", code=0)
    assert (ws.starts(), subjects(ws, "a")) == (["a 1"], ["T-1: The demo"])
    nothing_to_do(ws)
    prompt = ws.run("prompt", "demo:a", code=0).stdout
    assert "in this form, with what the commit does for `{title}`: `{key}: {title}`" in prompt
    assert "Here `{key}` is `T-1`, `{cell}` is `a`" in prompt


def test_a_hook_that_completes_the_message_is_heard_first(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    strict(ws)
    strict(ws, "prepare-commit-msg", 'sed -i "1s/^/T-1: /" "$1"\n')
    ws.run("run", "demo", code=0)
    assert subjects(ws, "a") == ["T-1: a: The demo (T-1)"]


def test_without_such_hooks_nothing_is_tried(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    hook = strict(ws)
    hook.rename(hook.with_suffix(".sample"))
    ws.run("run", "demo", code=0)
    assert not (ws.root / "judged").exists()


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("{keys}: {title}", "cannot be filled in: 'keys'"),
        ("{key: {title}", "cannot be filled in"),
        ("{}: {title}", "cannot be filled in"),
        ("always the same", "is the same for all commits"),
        ("{key}\n{title}", "line"),
    ],
)
def test_a_form_that_is_none(workspace: MakeWorkspace, form: str, told: str) -> None:
    ws = workspace(cells={"a": {}})
    ws.settings(repos={"app": {"commit_subject": form}})
    done = both(ws.run("validate", code=2))
    assert "orchestr.toml:" in done and told in done, done
