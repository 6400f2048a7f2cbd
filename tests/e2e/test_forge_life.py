"""The life of pull requests outside our runs: merged, closed, edited, away, and other people."""

from __future__ import annotations

import shutil
import tomllib

import pytest
import tomli_w

from orchestr.forges.base import RepoRef
from orchestr.forges.local import LocalForge
from tests.conftest import git, write
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both

pytestmark = pytest.mark.slow

STACK = {"a": {}, "b": {"depends_on": ["a"]}}


def forge(ws: Workspace) -> LocalForge:
    """The hands of a person on the forge's page."""
    return LocalForge(ws.root / ".orchestr/forge")


def ref(ws: Workspace, repo: str = "app") -> RepoRef:
    return RepoRef(repo, ws.repos / repo)


def forget_everything(ws: Workspace) -> None:
    """What is left when somebody else made the pull requests: the forge and the origin."""
    for name in ("cells", "journal", "worktrees", "surroundings"):
        shutil.rmtree(ws.root / ".orchestr" / name, ignore_errors=True)
    (ws.root / ".orchestr/registry.json").unlink()
    (ws.root / ".doit.db").unlink(missing_ok=True)
    for path in ws.root.glob(".doit.db*"):
        path.unlink()
    for clone in (p for p in ws.repos.iterdir() if not p.name.endswith(".git")):
        git(clone, "worktree", "prune")
        for branch in git(clone, "branch", "--list", "T-1-*", "--format=%(refname:short)").split():
            git(clone, "branch", "-qD", branch)


def person(ws: Workspace, cell: str, files: dict[str, str], repo: str = "app") -> str:
    """Somebody commits on a cell's branch from another clone and pushes."""
    clone = ws.root / f"person-{cell}"
    if not clone.exists():
        git(ws.root, "clone", "--quiet", str(ws.repos / f"{repo}.git"), str(clone))
    git(clone, "switch", "--quiet", ws.branch(cell))
    git(clone, "pull", "--quiet", "--ff-only")
    write(clone, files)
    git(clone, "add", "-A")
    git(clone, "commit", "--quiet", "-m", "a person's")
    git(clone, "push", "--quiet", "origin", "HEAD")
    return git(clone, "rev-parse", "HEAD")


def edit_pr(ws: Workspace, url: str, **changes: str) -> None:
    """Somebody edits title or body on the forge's page."""
    _, _, rest = url.partition("://")
    repo, number = rest.split("/pull/")
    path = ws.root / f".orchestr/forge/{repo}/{number}.toml"
    path.write_text(tomli_w.dumps({**tomllib.loads(path.read_text()), **changes}))


def test_merged_by_hand_counts_as_done(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=STACK)
    ws.run("run", "demo", code=0)
    forge(ws).merge_pull_request(ref(ws), 1)
    ws.run("run", "demo", code=0)
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1", "b 1"]
    assert ws.status()["a"]["pr"]["state"] == "merged"
    assert ws.states() == {"a": "done", "b": "done"}
    assert [pr["state"] for pr in ws.prs().values()] == ["merged", "open"]
    assert ws.pr("b")["base"] == "main"


def test_merged_with_plain_git_and_the_branch_deleted(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=STACK)
    ws.run("run", "demo", code=0)
    origin = ws.repos / "app.git"
    git(origin, "update-ref", "refs/heads/main", ws.head("a"))
    git(origin, "update-ref", "-d", "refs/heads/T-1-a")
    ws.run("run", "demo", code=0)
    assert ws.pr("a")["state"] == "merged"
    ws.say("b", "more\n")
    ws.run("forget", "demo:b", code=0)
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1", "b 1", "b 2"]
    assert (ws.pr("b")["base"], ws.pr("b")["state"]) == ("main", "open")
    assert "T-1-a" not in ws.heads()
    assert len(ws.prs()) == 2


def test_closed_without_a_merge_is_pending_and_gets_a_new_one(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    forge(ws).close_pull_request(ref(ws), 1)
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]
    assert {url: pr["state"] for url, pr in ws.prs().items()} == {
        "local://app/pull/1": "closed", "local://app/pull/2": "open",
    }  # fmt: skip
    assert ws.result("a", "pr-url") == "local://app/pull/2"
    ws.run("run", "demo", code=0)
    assert len(ws.prs()) == 2


def test_a_branch_without_a_pull_request_gets_one(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    shutil.rmtree(ws.root / ".orchestr/forge")
    git(ws.repos / "app.git", "update-ref", "-d", "refs/pull/1/head")
    (ws.cell_dir("a") / "pr-url").unlink()
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]
    assert [pr["head"] for pr in ws.prs().values()] == ["T-1-a"]


@pytest.mark.parametrize("merged", [False, True])
def test_a_pull_request_without_records_is_adopted(workspace: MakeWorkspace, merged: bool) -> None:
    ws = workspace(cells=STACK)
    ws.run("run", "demo", code=0)
    heads = ws.heads()
    if merged:
        forge(ws).merge_pull_request(ref(ws), 1)
    forget_everything(ws)
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1", "b 1"]
    assert ws.states() == {"a": "done", "b": "done"}
    assert len(ws.prs()) == 2
    assert {name: ws.heads()[name] for name in ("T-1-a", "T-1-b")} == {
        name: heads[name] for name in ("T-1-a", "T-1-b")
    }
    ws.run("run", "demo", code=0)
    assert ws.last_run() == []


@pytest.mark.parametrize("away", ["forge", "origin"])
def test_a_forge_that_is_away_is_not_no_pull_request(workspace: MakeWorkspace, away: str) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    forget_everything(ws)
    there = {"forge": ws.root / ".orchestr/forge/app/1.toml", "origin": ws.repos / "app.git"}[away]
    kept = there.read_bytes() if away == "forge" else b""
    if away == "forge":
        there.write_text("not [toml")
    else:
        there.rename(ws.root / "away.git")
    done = ws.run("run", "demo", code=1)
    assert "whether T-1-a has a pull request cannot be asked now" in both(done)
    assert ws.starts() == ["a 1"]
    if away == "forge":
        there.write_bytes(kept)
    else:
        (ws.root / "away.git").rename(there)
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]
    assert len(ws.prs()) == 1


def test_a_persons_commit_is_merged_never_overwritten(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=STACK)
    ws.run("run", "demo", code=0)
    theirs = person(ws, "a", {"person.txt": "mine\n"})
    ws.run("run", "demo", code=0)
    assert ws.starts("a") == ["a 1"]
    git(ws.repos / "app.git", "merge-base", "--is-ancestor", theirs, "T-1-a")
    assert ws.result("a", "head.toml").count(ws.head("a")) == 1
    assert {"a:implement", "a:check", "a:review", "a:publish"} <= set(ws.last_run())
    assert ws.pr("a")["head_sha"] == ws.head("a")
    assert ws.show("b", "person.txt") == "mine"
    assert ws.starts("b") == ["b 1", "b 2"]
    ws.say("a", "rebuilt\n")
    ws.run("run", "--force", "demo:a", code=0)
    git(ws.repos / "app.git", "merge-base", "--is-ancestor", theirs, "T-1-a")
    assert ws.show("a", "person.txt") == "mine"


def test_a_persons_commit_during_a_rebuild_is_not_lost(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    person(ws, "a", {"start.txt": "x\n"})
    clone = ws.root / "person-a"
    ws.script("a", f"""
        echo work > work.txt
        echo late > {clone}/late.txt
        env -i PATH="$PATH" HOME="$HOME" sh -c 'cd {clone} && git add -A &&
            git -c user.name=P -c user.email=p@x commit -qm late && git push -q origin HEAD'
    """)  # fmt: skip
    done = ws.run("run", "--force", "demo:a", code=1)
    assert "was pushed to T-1-a meanwhile" in both(done)
    late = git(clone, "rev-parse", "HEAD")
    assert ws.head("a") == late
    ws.script("a", None)
    ws.run("run", "demo", code=0)
    git(ws.repos / "app.git", "merge-base", "--is-ancestor", late, "T-1-a")
    assert (ws.show("a", "late.txt"), ws.show("a", "work.txt")) == ("late", "work")
    assert len(ws.prs()) == 1


def test_a_persons_conflicting_commit_is_a_clear_failure(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.say("a", "ours\n")
    ws.run("run", "demo", code=0)
    theirs = person(ws, "a", {"a.txt": "theirs\n"})
    ours = ws.root / ".orchestr/worktrees/demo/a"
    git(ours, "-c", "user.name=x", "commit", "--quiet", "--amend", "-m", "other words")
    write(ours, {"a.txt": "ours again\n"})
    git(ours, "commit", "-qam", "ours again")
    done = ws.run("run", "demo", code=1)
    assert "commits that somebody pushed to T-1-a conflict with ours" in both(done)
    assert ws.head("a") == theirs
    assert ws.starts() == ["a 1"]
    assert not git(ours, "ls-files", "--unmerged")


def test_what_a_person_wrote_into_a_pull_request(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=STACK)
    ws.run("run", "demo", code=0)
    pr = ws.pr("a")
    edit_pr(ws, pr["url"], body=f"Before, by me.\n\n{pr['body']}\n\nAfter, by me.\n",
            title="A title of my own")  # fmt: skip
    ws.say("a", "again\n")
    ws.run("run", "--force", "demo:a", code=0)
    body = ws.pr("a")["body"]
    assert body.startswith("Before, by me.\n\n<!-- orchestr:begin")
    assert body.endswith("-->\n\nAfter, by me.\n")
    assert body.count("orchestr:begin") == 1
    assert ws.pr("a")["title"] == "A title of my own"


def test_bodies_link_the_whole_feature(workspace: MakeWorkspace) -> None:
    ws = workspace(
        repos=("app", "web"),
        cells={"a": {}, "b": {"depends_on": ["a"]}, "w": {"repo": "web", "depends_on": ["a"]}},
        scenarios=["tests/one.yaml", "tests/two.yaml"],
    )
    ws.run("run", "demo", code=0)
    urls = {name: ws.result(name, "pr-url") for name in ("a", "b", "w")}
    bodies = {name: ws.pr(name)["body"] for name in urls}
    for name, body in bodies.items():
        assert [url for url in urls.values() if url not in body] == [urls[name]]
        assert "tests/one.yaml" in body
        assert "tests/two.yaml" in body
    assert "### Dependents" in bodies["a"]
    assert "### Upstreams" in bodies["b"]
    assert "Stacked: goes into `T-1-a`" in bodies["b"]
    assert (ws.pr("b")["base"], ws.pr("w")["base"]) == ("T-1-a", "main")
    before = ws.prs()
    ws.run("run", "demo", code=0)
    assert ws.prs() == before


def test_the_origin_goes_away_during_the_run(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    origin, away = ws.repos / "app.git", ws.root / "away.git"
    ws.script("a", f"echo x > a; mv {origin} {away}")
    done = ws.run("run", "demo", code=1)
    assert "origin" in both(done)
    assert ws.status()["a"]["phases"]["implement"] == "done"
    away.rename(origin)
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]
    assert len(ws.prs()) == 1


def test_a_new_title_in_the_spec_reaches_a_pull_request_that_nobody_renamed(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    ws.edit_spec("title: The demo", "title: Another demo")
    ws.run("run", "demo", code=0)
    assert ws.pr("a")["title"] == "feat(app): Another demo (T-1) [a]"
    assert ws.starts() == ["a 1"]
