"""What the kit links or copies into a worktree is in no published commit, whoever committed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git, write
from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do

SECRET = "TOKEN=very-secret-1234\n"


def kit(
    root: Path, tracked: dict[str, str] | None = None, cell: dict[str, object] | None = None,
    **repo: object,
) -> Workspace:  # fmt: skip
    """A cell `one`; the clone has untracked `.env`, `conf/` with two files, and `node_modules/`."""
    ws = Workspace.make(root / "w", cells={"one": cell or {}}, settings={"repos": {"app": repo}})
    app = ws.repos / "app"
    if tracked:
        write(app, tracked)
        git(app, "add", "-A")
        git(app, "commit", "--quiet", "-m", "tracked")
        git(app, "push", "--quiet", "origin", "main")
    write(app, {".env": SECRET, "conf/a.env": "A=aaaaaaaaaaaaaaaaaaaa\n", "conf/b.txt": "b\n",
                "node_modules/x/i.js": "x\n"})  # fmt: skip
    return ws


def published(ws: Workspace) -> set[str]:
    """Every path in every commit and tree of the origin."""
    listed = git(ws.repos / "app.git", "rev-list", "--objects", "--all").splitlines()
    return {line.partition(" ")[2] for line in listed} - {""}


def contents(ws: Workspace) -> str:
    """Every file of the origin's history, one after the other."""
    bare = ws.repos / "app.git"
    listed = git(
        bare, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)"
    )
    blobs = [line.split()[1] for line in listed.splitlines() if line.startswith("blob")]
    return "\n".join(git(bare, "cat-file", "blob", blob) for blob in blobs)


def warnings(ws: Workspace) -> list[str]:
    return [event["data"]["reason"] for event in ws.journal(kind="cell.warned")]


FORCED = """\
echo 1 > one.txt; git add one.txt; git commit -qm "first part"
git add -f .env conf; git commit -qm "only the kit"
echo 2 > two.txt; git add -f two.txt node_modules; git commit -qm "second part"
{end}
"""
UNDONE = "git rm -rq --cached .env conf node_modules; git commit -qm no"
SHOWN = "printf '!.env\\n!/conf\\n!node_modules\\n' > .gitignore; echo x > conf/new.txt\n"
SLY = """\
cp .env settings.txt; git add -A; git commit -qm sly
git rm -q settings.txt; git commit -qm gone
echo x > one.txt
"""
ALL = """\
test -f conf/a.env; test ! -e conf/b.txt; test -L node_modules/x
echo n > conf/new.txt; git add -f conf node_modules; git commit -qm all
"""


@pytest.mark.parametrize("end", ["", UNDONE])
def test_what_an_agent_adds_by_force_is_in_no_commit(end: str, tmp_path: Path) -> None:
    """Also where a later commit takes it away again: the history would have it."""
    ws = kit(tmp_path, link=["node_modules/"], copy=["./.env", "conf"])
    ws.script("one", FORCED.format(end=end))
    ws.run("run", FEATURE, code=0)
    assert published(ws) == {"README.md", "one.txt", "two.txt"}
    assert "TOKEN" not in contents(ws)
    log = git(ws.repos / "app.git", "log", "--format=%s", f"main..{ws.branch('one')}")
    assert log.splitlines() == ["second part", "first part"]
    told = "; ".join(warnings(ws))
    assert ".env" in told
    assert "node_modules" in told
    assert "refs/orchestr/attempts/demo/one/1-kit" in told
    kept = git(
        ws.repos / "app",
        "ls-tree",
        "-r",
        "--name-only",
        "refs/orchestr/attempts/demo/one/1-kit~1"
        if end
        else "refs/orchestr/attempts/demo/one/1-kit",
    )
    assert ".env" in kept.splitlines()
    assert (ws.worktree("one") / ".env").read_text() == SECRET
    assert (ws.worktree("one") / "node_modules").is_symlink()
    nothing_to_do(ws)


def test_what_a_person_adds_with_all_stays_in_the_worktree(tmp_path: Path) -> None:
    """A person's git knows no excludes of ours, so `git add -A` takes the link and the copy."""
    ws = kit(tmp_path, link=["node_modules"], copy=[".env"])
    ws.run("run", FEATURE, code=0)
    tree = ws.worktree("one")
    write(tree, {"mine.txt": "mine\n"})
    git(tree, "add", "-A")
    git(tree, "commit", "--quiet", "-m", "mended by hand")
    ws.run("run", FEATURE, code=0)
    assert published(ws) == {"README.md", "one.txt", "mine.txt"}
    assert git(tree, "log", "-1", "--format=%s") == "mended by hand"
    assert (tree / ".env").read_text() == SECRET
    assert (tree / "node_modules").is_symlink()
    assert ws.starts() == ["one 1"]
    nothing_to_do(ws)


def test_a_gitignore_that_shows_the_kit_changes_nothing(tmp_path: Path) -> None:
    """`!.env` outranks every other excludes file; it is neither committed nor a change."""
    check = {"kind": "command", "name": "there", "run": ["test", "-e", ".env"]}
    ws = kit(tmp_path, copy=[".env", "conf"], link=["node_modules"], checks=[check])
    ws.script(
        "one", "printf '!.env\\n!/conf\\n!node_modules\\n' > .gitignore; echo x > conf/new.txt\n"
    )
    ws.run("run", FEATURE, code=0)
    assert published(ws) == {"README.md", ".gitignore"}
    assert (ws.worktree("one") / ".env").exists()
    assert not [text for text in warnings(ws) if "kit" in text or "main checkout" in text]
    nothing_to_do(ws)
    ws.run("run", "--fresh", FEATURE, code=0)
    assert (ws.worktree("one") / ".env").exists()
    assert ".env" not in published(ws)


def test_a_copy_of_the_secret_under_another_name_is_refused(tmp_path: Path) -> None:
    """The attempt fails, its branch is put back, and the next one has a clean history."""
    ws = kit(tmp_path, copy=[".env"])
    ws.script("one", SLY)
    done = ws.run("run", FEATURE, code=1)
    assert "is in the commits under another name: settings.txt" in both(done)
    assert ws.branch("one") not in ws.heads()
    ws.script("one", None)
    ws.run("run", FEATURE, code=0)
    assert published(ws) == {"README.md", "one.txt"}
    assert "TOKEN" not in contents(ws)


def test_what_the_base_tracks_is_the_cells_to_change(tmp_path: Path) -> None:
    """It was never put there: a file, a file in a folder of that name, and a pattern's match."""
    tracked = {"conf/base.txt": "1\n", ".env.example": "A=\n"}
    ws = kit(tmp_path, tracked, copy=["conf", ".env*"])
    ws.script("one", "echo 2 > conf/base.txt; echo n > conf/new.txt; echo B= > .env.example\n"
              "test -e .env; test ! -e conf/a.env\n")  # fmt: skip
    ws.run("run", FEATURE, code=0)
    changed = git(ws.repos / "app.git", "diff", "--name-only", f"main..{ws.branch('one')}")
    assert changed.splitlines() == [".env.example", "conf/base.txt", "conf/new.txt"]
    assert warnings(ws) == []


def test_patterns_and_nested_paths_are_brought_and_kept_out(tmp_path: Path) -> None:
    ws = kit(tmp_path, {"conf/base.txt": "1\n"}, copy=["conf/*.env"], link=["node_modules/x"])
    ws.script("one", ALL)
    ws.run("run", FEATURE, code=0)
    assert published(ws) == {"README.md", "conf", "conf/base.txt", "conf/new.txt"}
    nothing_to_do(ws)


def test_a_pattern_for_every_folder_looks_into_no_other_repository(tmp_path: Path) -> None:
    ws = kit(tmp_path, copy=["**/*.env"])
    git(ws.repos, "clone", "--quiet", str(ws.repos / "app.git"), "app/inner")
    write(ws.repos / "app" / "inner", {"c.env": SECRET})
    ws.script("one", "test -f conf/a.env; test ! -e inner; git add -f .; echo 1 > one.txt\n")
    ws.run("run", FEATURE, code=0)
    assert published(ws) == {"README.md", "one.txt"}


def test_a_commit_on_a_persons_own_branch_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """`action: push`: their checkout is theirs to change."""
    ws = kit(tmp_path, cell={"action": "push", "branch": "by-hand"}, copy=[".env"])
    app = ws.repos / "app"
    git(app, "switch", "--quiet", "--create", "by-hand")
    write(app, {"hand.txt": "x\n"})
    git(app, "add", ".env", "hand.txt")
    git(app, "commit", "--quiet", "-m", "by hand")
    done = ws.run("run", FEATURE, code=1)
    commit = git(app, "rev-parse", "HEAD")
    assert (
        f"[repos.app] link or copy brings from the main checkout are in commit {commit[:12]}: .env"
        in both(done)
    )
    assert "by-hand" not in ws.heads()
    hint = next(line for line in both(done).splitlines() if "reset --soft" in line)
    command = hint.partition("with: ")[2].partition(", then:")[0]
    git(app, "-c", f"alias.do=!{command} -qm again", "do")
    ws.run("run", FEATURE, code=0)
    assert published(ws) == {"README.md", "hand.txt"}
    assert (app / ".env").read_text() == SECRET


def test_commits_of_an_attempt_that_failed_are_cleaned_before_the_next(tmp_path: Path) -> None:
    ws = kit(tmp_path, copy=[".env"])
    ws.script("one", "git add -f .env; git commit -qm early; exit 3\n")
    ws.run("run", FEATURE, code=1)
    ws.script("one", None)
    ws.run("run", FEATURE, code=0)
    assert published(ws) == {"README.md", "one.txt"}


def test_a_repair_that_adds_it_publishes_nothing_of_it(tmp_path: Path) -> None:
    check = {"kind": "command", "name": "two", "run": ["test", "-e", "two.txt"]}
    ws = kit(tmp_path, cell={"checks": [check]}, copy=[".env"])
    ws.script("one", "if [ -e one.txt ]; then echo 2 > two.txt; git add -f .env two.txt\n"
              "git commit -qm mend; else echo 1 > one.txt; fi\n")  # fmt: skip
    ws.run("run", FEATURE, code=0)
    assert published(ws) == {"README.md", "one.txt", "two.txt"}
    nothing_to_do(ws)


def test_a_secret_that_was_pushed_elsewhere_leaves_the_head(tmp_path: Path) -> None:
    """What the origin has stays there, without a forced push; the pull request shows it no more."""
    ws = kit(tmp_path, copy=[".env"])
    ws.run("run", FEATURE, code=0)
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", str(ws.repos / "app.git"), str(other))
    git(other, "switch", "--quiet", ws.branch("one"))
    write(other, {".env": SECRET, "theirs.txt": "x\n"})
    git(other, "add", "-A")
    git(other, "commit", "--quiet", "-m", "theirs")
    git(other, "push", "--quiet", "origin", "HEAD")
    theirs = git(other, "rev-parse", "HEAD")
    ws.run("run", FEATURE, code=0)
    bare = ws.repos / "app.git"
    names = git(bare, "ls-tree", "-r", "--name-only", ws.branch("one")).splitlines()
    assert names == ["README.md", "one.txt", "theirs.txt"]
    git(bare, "merge-base", "--is-ancestor", theirs, ws.branch("one"))
    nothing_to_do(ws)
