"""Agents that change files that rule their clone, or the user's git: they are put back, kept and
reported, and nothing that agents planted runs in our name.

Each cell has a repository of its own; one run of all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, wait_for
from tests.hostile.bystander import Bystander

pytestmark = pytest.mark.slow

# A copy of the clone's common directory with hooks and a program of the agent's, in $fake.
FAKE = """
c=$(git rev-parse --path-format=absolute --git-common-dir)
d=$(git rev-parse --absolute-git-dir)
fake="$AGENT_DIR/fake-$ORCHESTR_CELL"
cp -r "$c" "$fake"
mkdir -p "$fake/hooks" "$c/info"
for hook in pre-commit post-checkout reference-transaction post-index-change commit-msg; do
    printf '#!/bin/sh\\ntouch %s\\n' "$AGENT_DIR/planted" > "$fake/hooks/$hook"
    chmod +x "$fake/hooks/$hook"
done
printf '[filter "x"]\\nclean = touch %s; cat\\n' "$AGENT_DIR/planted" >> "$fake/config"
echo x > a.txt
"""


@dataclass(frozen=True)
class Harm:
    """What an agent does, what must be reported, and whether the attempt fails for it."""

    do: str
    said: str
    fails: bool = False


HARMS: Mapping[str, Harm] = {
    "attributes": Harm('echo "* -diff" > "$c/info/attributes"', "info/attributes was changed"),
    "exclude": Harm('echo "*" >> "$c/info/exclude"', "info/exclude was changed"),
    "grafts": Harm('git rev-parse HEAD > "$c/info/grafts"', "info/grafts was changed"),
    "sparse": Harm('echo /x > "$c/info/sparse-checkout"', "info/sparse-checkout was changed"),
    "shallow": Harm('git rev-parse HEAD > "$c/shallow"', "shallow was changed"),
    "alternates": Harm('mkdir -p "$c/objects/info"; echo "$fake/objects" > '
                       '"$c/objects/info/alternates"', "alternates was changed"),
    "config-worktree": Harm('echo "[core]" > "$d/config.worktree"', "config.worktree was changed"),
    "commondir": Harm('echo "$fake" > "$d/commondir"', "commondir was changed"),
    "main-commondir": Harm('echo "$fake" > "$c/commondir"', "commondir was changed"),
    "gitdir": Harm('echo /nowhere/.git > "$d/gitdir"', "gitdir was changed"),
    "git-file": Harm('echo "gitdir: $fake/worktrees/${d##*/}" > .git; '
                     'echo "$PWD/.git" > "$fake/worktrees/${d##*/}/gitdir"',
                     "the .git of its worktree led to", fails=True),
    "hook": Harm('mkdir -p "$c/hooks"; cp "$fake/hooks/pre-commit" "$c/hooks/"',
                 "pre-commit was changed"),
    "large-hook": Harm('mkdir -p "$c/hooks"; { cat "$fake/hooks/pre-commit"; seq 400000; } > '
                       '"$c/hooks/pre-commit"; chmod +x "$c/hooks/pre-commit"',
                       "pre-commit was changed"),
    "hooks-link": Harm('rm -rf "$c/hooks"; ln -s "$fake/hooks" "$c/hooks"', "hooks was changed"),
    "hooks-path": Harm('git config core.hooksPath "$fake/hooks"', "core.hookspath"),
    "remotes-file": Harm('mkdir -p "$c/remotes"; echo "URL: /evil" > "$c/remotes/other"',
                         "remotes/other was changed"),
    "replace": Harm("git add -A; git commit -qm work; git replace HEAD HEAD~1",
                    "replacement"),
    "remote-branch": Harm(
        "git update-ref refs/remotes/origin/main $(git commit-tree HEAD^{tree} -m evil)",
        "remote branch origin/main was rewritten", fails=True),
    "base": Harm(
        "git update-ref refs/orchestr/base/origin/main $(git commit-tree HEAD^{tree} -m evil)",
        "our record of base", fails=True),
    "remote-head": Harm('echo "ref: refs/remotes/origin/other" > "$c/refs/remotes/origin/HEAD"',
                        "refs/remotes/origin/HEAD was changed"),
}  # fmt: skip


def picture(ws: Workspace, name: str) -> dict[str, bytes]:
    """Every file of the common directory that git does not write in its daily work."""
    common = ws.repos / f"r-{name}" / ".git"
    own = ("objects/", "logs/", "refs/heads/", "refs/orchestr/", "refs/remotes/origin/T-1-",
           "worktrees/", "index", "FETCH_HEAD", "COMMIT_EDITMSG")  # fmt: skip
    found = {}
    for path in sorted(common.rglob("*")):
        at = path.relative_to(common).as_posix()
        kept = at == "objects/info/alternates" or not at.startswith(own)
        if kept and (path.is_file() or path.is_symlink()):
            found[at] = path.read_bytes() if path.is_file() else b""
    return found


@dataclass
class Story:
    ws: Workspace
    states: dict[str, str]
    before: dict[str, dict[str, bytes]]
    said: str


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    ws = Workspace.make(
        tmp_path_factory.mktemp("harm") / "ws",
        repos=[],
        cells={name: {"repo": f"r-{name}"} for name in HARMS},
        settings={"limits": {"jobs": 10}},
    )
    for name, harm in HARMS.items():
        repo = ws.repo(f"r-{name}", {".gitattributes": "*.txt filter=x\n"})
        Bystander.furnish(repo)
        repo.git("remote", "set-head", "origin", "main")
        ws.script(name, f"{FAKE}\n{harm.do}\n")
    before = {name: picture(ws, name) for name in HARMS}
    try:
        said = both(ws.run("run", "demo", code=1))
        yield Story(ws, ws.states(), before, said)
    finally:
        ws.end()


@pytest.mark.parametrize("name", HARMS)
def test_the_clone_is_as_it_was(story: Story, name: str) -> None:
    assert picture(story.ws, name) == story.before[name]


@pytest.mark.parametrize("name", HARMS)
def test_it_is_reported_and_kept(story: Story, name: str) -> None:
    reasons = [str(e["data"].get("reason")) for e in story.ws.journal() if e.get("cell") == name]
    assert any(HARMS[name].said in text for text in reasons), reasons
    assert story.states[name] == ("failed" if HARMS[name].fails else "done"), story.said
    if not HARMS[name].fails and name != "replace":
        kept = story.ws.cell_dir(name) / "attempts/1/changed"
        assert any(path.is_file() or path.is_symlink() for path in kept.rglob("*"))


def test_nothing_planted_ran(story: Story) -> None:
    assert not (story.ws.agents / "planted").exists()


def test_the_config_of_the_user(workspace: MakeWorkspace, tmp_path: Path) -> None:
    ws = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}})
    real, home = tmp_path / "dotfiles", tmp_path / "gitconfig"
    real.write_text("[user]\n\tname = me\n\temail = me@example.org\n[include]\n\tpath = more\n"
                    f"[core]\n\tattributesFile = {tmp_path}/attributes\n")  # fmt: skip
    (tmp_path / "more").write_text("[alias]\n\tco = checkout\n")
    home.symlink_to(real)
    before = {path: path.read_bytes() for path in (real, tmp_path / "more")}
    ws.script("a", f"""
        echo x > a
        git config --global core.hooksPath {tmp_path}/evil
        printf '[filter "x"]\\n\\tclean = touch {tmp_path}/planted\\n' >> {tmp_path}/more
        echo '* filter=x' > {tmp_path}/attributes
    """)  # fmt: skip
    ws.run("run", "demo", code=0, env={"GIT_CONFIG_GLOBAL": str(home)})
    assert {path: path.read_bytes() for path in before} == before
    assert not (tmp_path / "attributes").exists() and not (tmp_path / "planted").exists()
    reasons = [e["data"]["reason"] for e in ws.journal(kind="cell.warned")]
    for word in ("core.hookspath", "filter.x.clean", "attributes was changed"):
        assert any(word in text for text in reasons), reasons


def test_a_moved_branch_of_the_origin_is_no_base_of_another_cell(
    workspace: MakeWorkspace,
) -> None:
    """Written as a file, so that no record of git shows who did it."""
    ws = workspace(
        repos=("app", "web"),
        cells={"evil": {}, "first": {"repo": "web"}, "late": {"depends_on": ["first"]}},
    )
    ws.script("evil", """
        echo x > a; echo evil > evil.txt; git add -A; git commit -qm evil
        c=$(git rev-parse --path-format=absolute --git-common-dir)
        git rev-parse HEAD > "$c/refs/remotes/origin/main"
        touch "$AGENT_DIR/moved"
    """)  # fmt: skip
    ws.script("first", 'while [ ! -e "$AGENT_DIR/moved" ]; do sleep 0.1; done; echo x > f')
    ws.run("run", "demo", code=0)
    assert ws.starts("late") == ["late 1"]
    assert git(ws.repos / "app", "ls-tree", "--name-only", "T-1-late").splitlines() == [
        "README.md", "late.txt",
    ]  # fmt: skip


def test_a_merge_that_is_resolved_and_not_added(workspace: MakeWorkspace) -> None:
    """As of an agent whose sandbox does not let it write the index."""
    ws = workspace(cells={"a": {}})
    ws.script("a", """
        echo ours > f; git add f; git commit -qm ours; h=$(git rev-parse HEAD)
        git reset -q --hard HEAD~1; echo theirs > f; git add f; git commit -qm theirs
        git merge -q $h
        echo both > f
    """)  # fmt: skip
    ws.run("run", "demo", code=0)
    assert (ws.show("a", "f"), ws.starts()) == ("both", ["a 1"])
    assert len(git(ws.repos / "app", "log", "-1", "--format=%P", "T-1-a").split()) == 2


def test_a_file_that_the_index_hides_is_in_the_commit(workspace: MakeWorkspace) -> None:
    """The flag is set by a git that leaves no record."""
    ws = workspace(cells={"a": {}})
    ws.script("a", """
        echo x > a; echo changed > README.md
        env -i PATH="$PATH" HOME="$HOME" git update-index --skip-worktree README.md
    """)  # fmt: skip
    ws.run("run", "demo", code=0)
    assert ws.show("a", "README.md") == "changed"


PLANT = """
c=$(git rev-parse --path-format=absolute --git-common-dir)
mkdir -p "$c/hooks" "$c/info"
for hook in pre-commit commit-msg prepare-commit-msg; do
    printf '#!/bin/sh\\ntouch %s\\n' "$AGENT_DIR/planted" > "$c/hooks/$hook"
    chmod +x "$c/hooks/$hook"
done
echo "* -diff" > "$c/info/attributes"
"""


def test_nothing_planted_runs_for_another_cell_meanwhile(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"evil": {}, "good": {}})
    done = f"git -C {ws.repos / 'app'} rev-parse -q --verify refs/remotes/origin/T-1-good"
    ws.script("evil", f"""
        {PLANT}
        touch "$AGENT_DIR/harm"; n=0
        while ! {done} && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done
        echo x > a
    """)  # fmt: skip
    ws.script("good", 'while [ ! -e "$AGENT_DIR/harm" ]; do sleep 0.1; done; echo x > g')
    ws.run("run", "demo", code=0)
    assert not (ws.agents / "planted").exists()
    reasons = [e["data"]["reason"] for e in ws.journal(kind="cell.warned")]
    assert any("pre-commit was changed; it was put back" in text for text in reasons), reasons


def test_nothing_planted_runs_after_a_kill(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}})
    ws.script("a", f"""
        {PLANT}
        touch "$AGENT_DIR/harm"
        while [ ! -e "$AGENT_DIR/go" ]; do sleep 0.1; done
        echo x > a
    """)  # fmt: skip
    run = ws.spawn("run", "demo")
    wait_for((ws.agents / "harm").exists, "the harm")
    run.kill()
    run.wait()
    seen = both(ws.run("status"))
    assert "warning: while demo:a was at work in a run that was killed, the hook" in seen
    assert not (ws.repos / "app/.git/info/attributes").exists()
    (ws.agents / "go").touch()
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1", "b 1"]
    assert not (ws.agents / "planted").exists()
    reasons = [e["data"]["reason"] for e in ws.journal(kind="cell.warned")]
    assert any("info/attributes was changed; it was put back" in text for text in reasons), reasons
