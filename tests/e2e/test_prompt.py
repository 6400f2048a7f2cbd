"""What an agent is asked to do: the prompt, a workspace's own template, rules for commits."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.cell.agent.prompt import build_prompt, example_facts, template_facts
from orchestr.run.workspace import Session
from orchestr.state.attempts import Attempt
from tests.conftest import git, write
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both

CHAIN = {"a": {"owned_paths": ["a.txt"]}, "b": {"depends_on": ["a"]}}
HOSTILE = "Replace {{ name }} by {% raw %} and {# this #}, `${x}` & <b>"
EXTENDS = '{% extends "orchestr/cell.md.j2" %}\n'


def own(ws: Workspace, text: str | bytes, name: str = "prompts/cell.md.j2") -> Path:
    """Give the workspace a template of its own."""
    ws.settings(workspace={"prompt": name})
    write(ws.root, {name: text})
    return ws.root / name


def files(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder but the cache of specs."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if "cache" not in path.parts
    }


def test_the_prompt_before_and_after_its_upstream_is_built(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=CHAIN, scenarios=["it says hello"], done_means=["two\nlines"])
    ws.run("validate", code=0)
    before = files(ws.root)
    first = ws.run("prompt", "demo:b", code=0)
    assert first.stderr == "upstream a is not built yet\n"
    assert "- `a` (app): not built yet, none of its code is there\n" in first.stdout
    assert "## What to do\n- do b\n\n## What it builds on\n" in first.stdout
    goal = "## What it is for\nIt is done when:\n- two\n  lines\n\n## Acceptance scenarios\n"
    assert goal in first.stdout
    assert "## Acceptance scenarios\n- it says hello\n\n## House rules\n" in first.stdout
    assert "\n\n\n" not in first.stdout
    assert files(ws.root) == before  # it looked only

    assert "- Change only these paths: `a.txt`.\n" in ws.run("prompt", "demo:a", code=0).stdout
    ws.run("run", "demo:a", code=0)
    foreseen = ws.run("prompt", "demo:b", code=0)
    head = ws.head("a")
    assert foreseen.stderr == ""
    assert f"(branch `T-1-a`, head `{head[:12]}`)\n  pull request: local://app/" in foreseen.stdout
    assert "  a.txt | 1 +\n  1 file changed, 1 insertion(+)\n" in foreseen.stdout

    ws.run("run", "demo", code=0)
    got = ws.run("prompt", "demo:b", "--attempt", "1", code=0)
    assert got.stdout == foreseen.stdout
    assert got.stdout == (ws.cell_dir("b") / "attempts/1/prompt.md").read_text()


def test_the_next_attempt_is_told_why_the_last_one_failed(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.script("a", "echo half > half.txt; echo out of ideas; exit 3\n")
    ws.run("run", "demo", code=1)
    said = ws.run("prompt", "demo:a", code=0).stdout
    assert "This is attempt 2; earlier commits of the branch stay.\nThe last one was not" in said
    assert "out of ideas\nMend that first.\n\n## The whole feature\n" in said
    assert "## First\nAn earlier attempt left uncommitted changes here; go on from them.\n" in said
    assert (ws.worktree("a") / "half.txt").exists()
    ws.script("a", None)
    ws.run("run", "demo", code=0)
    assert ws.run("prompt", "demo:a", "--attempt", "2", code=0).stdout == said


def test_what_cannot_be_shown(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "p": {"action": "push", "branch": "mine", "todo": []}})
    for words, why in (
        (("demo",), "'demo' is a feature"),
        ((), "`prompt` wants one cell"),
        (("demo:a", "--attempt", "4"), "demo:a has no attempt 4"),
        (("demo:p",), "no agent works on it (action: push)"),
    ):
        done = ws.run("prompt", *words, code=2)
        assert why in done.stderr and "hint: " in done.stderr and not done.stdout


def test_a_todo_is_text_and_never_a_template(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {"todo": [HOSTILE, "two\nlines"]}}, scenarios=[HOSTILE])
    said = ws.run("prompt", "demo:a", code=0).stdout
    assert said.count(f"- {HOSTILE}\n") == 3
    assert "- two\n  lines\n" in said
    own(ws, EXTENDS + "{% block extra %}{{ cell.todo[0] | upper }}{% endblock %}")
    said = ws.run("prompt", "demo:a", code=0).stdout
    assert said.count(f"- {HOSTILE}\n") == 3 and said.endswith(f"\n{HOSTILE.upper()}\n")


def test_a_workspace_replaces_blocks_or_everything(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=CHAIN)
    text = (
        EXTENDS + "{% block extra %}\n## Waking the tests\n"
        "{% include 'probe.md' %}\n{% endblock %}\n"
        "{% block commits %}\n{{ super() }}- Sign off, too.\n{% endblock %}\n"
    )
    own(ws, text)
    write(ws.root, {"prompts/probe.md": "Let `supports {{ feature.name }}` answer yes.\n"})
    ws.run("validate", code=0)
    ws.run("run", "demo:a", code=0)
    said = ws.run("prompt", "demo:a", "--attempt", "1", code=0).stdout
    assert said.endswith("\n\n## Waking the tests\nLet `supports demo` answer yes.\n")
    assert "committed for you.\n- Sign off, too.\n- Stay in this folder" in said

    names = "feature.key cell.name cell.base_ref attempt.number notes commits.key test_first"
    own(ws, " ".join(f"{{{{ {name} }}}}" for name in names.split()))
    assert ws.run("prompt", "demo:a", code=0).stdout == "T-1 a main 2  T-1 False\n"
    # another template alone builds nothing again
    assert ws.run("run", "demo:a", code=0).stdout.startswith("nothing to be done: ")


BROKEN = {
    "syntax": ("one\n{% if %}\n", 2, "Expected an expression"),
    "unknown name": ("one\ntwo {{ feture.name }}\n", 2, "'feture' is undefined"),
    "unknown key": (EXTENDS + "{% block title %}\n{{ cell.nam }}\n{% endblock %}", 3, "'nam'"),
    "only where an upstream is built": (
        "{% for up in upstreams %}\n{% if up.built %}\n{{ up.sha }}\n{% endif %}\n{% endfor %}",
        3,
        "'sha'",
    ),
    "only in a later attempt": ("{% if attempt.number > 1 %}{{ oops }}{% endif %}", 1, "'oops'"),
    "only in a fresh one": ("{% if attempt.fresh %}\n{{ oops }}{% endif %}", 2, "'oops'"),
    "missing include": ("\n\n{% include 'gone.md' %}\n", 3, "there is no template 'gone.md'"),
    "out of its folder": ("{% include '../orchestr.toml' %}", 1, "'../orchestr.toml'"),
    "through a link": ("{% include 'link.md' %}", 1, "there is no template 'link.md'"),
    "absolute": ("{% include '/etc/hostname' %}", 1, "there is no template '/etc/hostname'"),
    "into itself": ("{% include 'cell.md.j2' %}", 1, "it includes itself without end"),
    "into python": ("\n{{ cell.__class__.__mro__ }}", 2, "unsafe"),
    "changing values": ("{{ cell.todo.append('x') }}", 1, "is unsafe"),
    "no sum": ("\n{{ 1 / 0 }}", 2, "ZeroDivisionError: division by zero"),
    "not UTF-8": (b"one\ntwo \xff\n", 2, "is not UTF-8"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_template_is_named_with_its_line_before_anything_starts(
    workspace: MakeWorkspace, name: str
) -> None:
    text, line, why = BROKEN[name]
    ws = workspace(cells=CHAIN)
    own(ws, text)
    (ws.root / "prompts/link.md").symlink_to(ws.root / "orchestr.toml")
    for words, where in ((("validate",), "stdout"), (("run", "demo"), "stderr")):
        done = ws.run(*words, code=2)
        said = getattr(done, where)
        assert f"prompts/cell.md.j2:{line}: " in said and why in said, both(done)
    assert ws.starts() == [] and ws.journal() == []
    assert not ws.worktree("a").exists()


def test_a_template_that_is_not_there(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=CHAIN)
    own(ws, "x").unlink()
    done = ws.run("validate", code=2)
    assert done.stdout.startswith(
        "prompts/cell.md.j2: error: the template of [workspace] prompt cannot be read\n"
    )
    assert "cannot be read" in ws.run("run", "demo", code=2).stderr


def history(ws: Workspace, *subjects: str) -> None:
    """Commits on the base branch of `app`, at its origin, too."""
    for subject in subjects:
        git(ws.repos / "app", "commit", "--quiet", "--allow-empty", "-m", subject)
    git(ws.repos / "app", "push", "--quiet", "origin", "main")


def subject(ws: Workspace) -> str:
    return git(ws.worktree("a"), "log", "-1", "--format=%s")


PLAIN = ("Add a parser", "net/http: fix a leak", 'Revert "feat: x"', "note: nothing")
TYPED = ("feat: a parser", "fix(net)!: a leak", 'Revert "Add x"', "docs: say it")


@pytest.mark.parametrize(
    ("subjects", "setting", "conventional"),
    [
        (PLAIN, None, False),
        (TYPED, None, True),
        ((*TYPED, *["Do more"] * 50), "auto", False),  # only the newest 50 say
        ((*PLAIN * 9, *["chore: x"] * 50), "auto", True),
        (PLAIN, "conventional", True),
        (TYPED, "plain", False),
    ],
)  # fmt: skip
def test_commits_are_written_as_the_repository_writes_them(
    workspace: MakeWorkspace, subjects: tuple[str, ...], setting: str | None, conventional: bool
) -> None:
    ws = workspace(cells={"a": {}})
    if setting:
        ws.settings(repos={"app": {"path": "repos/app", "commits": setting}})
    history(ws, *subjects)
    foreseen = ws.run("prompt", "demo:a", code=0).stdout
    assert ("Conventional Commits" in foreseen) is conventional
    ws.run("run", "demo", code=0)
    assert subject(ws) == ("feat(a): The demo (T-1)" if conventional else "a: The demo (T-1)")
    assert ws.run("prompt", "demo:a", "--attempt", "1", code=0).stdout == foreseen


@pytest.mark.parametrize("where", ["workspace", "repository", "none of this repository"])
def test_trailers_are_asked_for_and_in_the_engines_own_commits(
    workspace: MakeWorkspace, where: str
) -> None:
    ws = workspace(cells={"a": {}})
    lines = ["Signed-off-by: A Name <a@example.org>", "Co-Authored-By: A Bot <bot@example.org>"]
    match where:
        case "workspace":
            ws.settings(workspace={"trailers": lines})
        case "repository":
            ws.settings(workspace={"trailers": ["X: y"]}, repos={"app": {"trailers": lines}})
        case _:
            ws.settings(workspace={"trailers": lines}, repos={"app": {"trailers": []}})
            lines = []
    ws.run("run", "demo", code=0)
    message = git(ws.worktree("a"), "log", "-1", "--format=%B").rstrip("\n")
    assert message == "\n".join(["a: The demo (T-1)", *([""] if lines else []), *lines])
    found = git(ws.worktree("a"), "log", "-1", "--format=%(trailers)").split("\n")
    assert [line for line in found if line] == lines
    said = ws.run("prompt", "demo:a", "--attempt", "1", code=0).stdout
    assert [line for line in lines if f"\n  `{line}`\n" not in said] == []
    assert ("End every commit message" in said) is bool(lines)


def test_a_trailer_must_be_one(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.settings(workspace={"trailers": ["no trailer"]}, repos={"app": {"commits": "angular"}})
    said = both(ws.run("validate", code=2))
    assert "workspace.trailers: `no trailer` is not a trailer" in said
    assert "repos.app.commits: must be `auto` or `conventional` or `plain`" in said


def test_what_an_earlier_attempt_left_is_committed_by_the_same_rules(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells={"a": {"track_base": True}})
    ws.settings(workspace={"trailers": ["Signed-off-by: A Name <a@example.org>"]})
    ws.script("a", "echo half > half.txt; exit 3\n")
    ws.run("run", "demo", code=1)
    write(ws.repos / "app", {"base.txt": "moved\n"})
    git(ws.repos / "app", "add", "-A")
    history(ws, "move the base")
    ws.script("a", None)
    ws.run("run", "demo", code=0)
    log = git(ws.worktree("a"), "log", "--no-merges", "--format=%s|%(trailers)", "main..HEAD")
    lines = [line for line in log.splitlines() if line]
    signed = "Signed-off-by: A Name <a@example.org>"
    assert lines == [f"a: The demo (T-1)|{signed}",
                     f"a: left by an earlier attempt (T-1)|{signed}"]  # fmt: skip


def shape(value: object) -> object:
    """The keys of dicts, at every level; what is in lists by their first item."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return None


def test_a_template_is_tried_with_what_it_will_really_get(built: Workspace) -> None:
    session = Session(built.root)
    run = session.load_run("demo")
    real = template_facts(run.cell_context("b"), Attempt(2, "", "sh", ""), checks=["x"])
    real["commits"]["trailers"] = ["A: b"]
    real["amendments"], real["shared"] = ["x"], ["x"]
    full = next(
        v for v in example_facts([run.feature]) if v["cell"]["name"] == "b" and v["test_first"]
    )
    assert real["upstreams"][0]["built"] and real["upstreams"][0]["diff_stat"]
    assert shape(full) == shape(real)


def test_test_first_and_the_checks_of_a_cell(built: Workspace) -> None:
    ctx = Session(built.root).load_run("demo").cell_context("b")
    attempt = Attempt(2, "", "sh", "")
    plain = build_prompt(ctx, attempt, "")
    assert "Test first" not in plain
    said = build_prompt(ctx, attempt, "", checks=["`make test` ends with 0"], test_first=True)
    assert "## Test first\n" in said and said.endswith(".\n- `make test` ends with 0\n")
