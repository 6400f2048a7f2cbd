"""Agents whose work is no work, or which wreck where they stand: one run of all of them at once.

Each cell has a repository of its own, so that what is harmed there is that agent's doing. The
first run fails every cell for its own reason; then every agent is a good one, and the second run
ends well. The tests look at what the two runs left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from tests.conftest import Sandbox, git
from tests.e2e.workspace import Workspace, both
from tests.hostile.bystander import Bystander

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Bad:
    """What an agent does, what the cell's reason must say, and a file that must be kept."""

    script: str
    reason: str
    kept: str = ""
    owned: tuple[str, ...] = ()


PUSH = "u=$(git config remote.origin.url); env -i PATH=$PATH HOME=$HOME git push -q "
CASES: Mapping[str, Bad] = {
    "outside-committed": Bad(
        "mkdir -p in; echo x > in/a; echo y > out.txt; git add -A; git commit -qm work",
        r"owned_paths: out\.txt \(after it was given back once\)$", "out.txt", ("in/**",)),
    "outside-uncommitted": Bad(
        "mkdir -p in; echo x > in/a; echo y > README.md",
        r"changed outside owned_paths: README\.md", "in/a", ("in/**",)),
    "outside-renamed": Bad(
        "mkdir -p in; git mv README.md in/moved.md",
        r"changed outside owned_paths: README\.md", "in/moved.md", ("in/**",)),
    "outside-newline": Bad(
        "mkdir -p in; echo x > in/a; printf y > \"$(printf 'new\\nline')\"",
        r"changed outside owned_paths: .*new", "in/a", ("in/**",)),
    "nothing": Bad("echo 'all done, tests pass'", r"nothing was changed"),
    "empty-commits": Bad(
        "git commit -q --allow-empty -m one; git commit -q --allow-empty -m two",
        r"nothing was changed"),
    "there-and-back": Bad(
        "echo x > a; git add a; git commit -qm a; git rm -q a; git commit -qm back",
        r"nothing was changed"),
    "markers": Bad(
        "printf '<<<<<<< HEAD\\na\\n=======\\nb\\n>>>>>>> other\\n' > a.txt",
        r"conflict markers are left in a\.txt", "a.txt"),
    "markers-committed": Bad(
        "printf '<<<<<<< HEAD\\na\\n=======\\nb\\n>>>>>>> other\\n' > a.txt; git add a.txt;"
        "git commit -qm oops", r"conflict markers are left in a\.txt", "a.txt"),
    "unfinished-merge": Bad(
        "echo ours > f; git add f; git commit -qm ours; h=$(git rev-parse HEAD);"
        "git reset -q --hard HEAD~1; echo theirs > f; git add f; git commit -qm theirs;"
        "git merge -q $h", r"a merge .*unfinished", "f"),
    "unfinished-rebase": Bad(
        "echo ours > f; git add f; git commit -qm ours; h=$(git rev-parse HEAD);"
        "git reset -q --hard HEAD~1; echo theirs > f; git add f; git commit -qm theirs;"
        "git rebase -q $h", r"rebase", "f"),
    "rebase-stopped-clean": Bad(
        "echo a > a; git add a; git commit -qm a; echo b > b; git add b; git commit -qm b;"
        "GIT_SEQUENCE_EDITOR='sed -i 1s/^pick/edit/' git rebase -q -i HEAD~2", r"rebase", "a"),
    "cherry-pick": Bad(
        "echo ours > f; git add f; git commit -qm ours; h=$(git rev-parse HEAD);"
        "git reset -q --hard HEAD~1; echo theirs > f; git add f; git commit -qm theirs;"
        "git cherry-pick $h", r"unfinished", "f"),
    "other-branch": Bad(
        "git switch -qc elsewhere; echo x > a; git add a; git commit -qm a",
        r"was on elsewhere, another branch", "a"),
    "detached": Bad(
        "git checkout -q --detach; echo x > a; git add a; git commit -qm a",
        r"detached head", "a"),
    "no-git-file": Bad("echo x > a; rm .git", r"no usable \.git any more", "a"),
    "no-worktree": Bad('echo x > a; cd /; rm -rf "$ORCHESTR_WORKTREE"', r"worktree was gone"),
    "emptied": Bad('rm -rf ./* ./.[a-zA-Z]*', r"worktree was gone"),
    "own-repository": Bad(
        "echo x > a; rm .git; git init -q .; git add -A;"
        "git -c user.name=x -c user.email=x@y commit -qm mine",
        r"no usable \.git any more.*its \.git is kept as \S+/left/git;", "a"),
    "file-for-folder": Bad(
        'cd /; rm -rf "$ORCHESTR_WORKTREE"; echo hm > "$ORCHESTR_WORKTREE"',
        r"no usable \.git.*in place of the worktree is kept as \S+/left/file-for-folder"),
    "reset-to-root": Bad(
        "echo x > a; git checkout -q --orphan fresh; git add -A; git commit -qm new;"
        "h=$(git rev-parse HEAD); git checkout -q $ORCHESTR_BRANCH; git reset -q --hard $h",
        r"history was rewritten", "a"),
    "amended": Bad(
        "echo x > a; git add a; git commit -q --amend -m 'my own root'",
        r"history was rewritten", "a"),
    "state-file": Bad(
        "mkdir -p .orchestr; echo x > .orchestr/x; echo y > ok; git add -f .orchestr ok;"
        "git commit -qm x", r"files of orchestr are in the commits: \.orchestr/x", "ok"),
    "doit-db": Bad(
        "echo x > .doit.db; echo y > ok; git add -f .doit.db ok; git commit -qm x",
        r"files of orchestr are in the commits: \.doit\.db", "ok"),
    "nested-state": Bad(
        "mkdir -p sub; echo x > sub/.ports.env; echo y > ok; git add -f sub ok; git commit -qm x",
        r"files of orchestr are in the commits: sub/\.ports\.env", "ok"),
    "fails": Bad("echo x > a; echo 'cannot go on' >&2; exit 3", r"exit 3", "a"),
    "kills-itself": Bad("echo x > a; kill -9 $$", r"killed by signal 9", "a"),
    "no-reason": Bad("echo 'ORCHESTR no_change_needed:'", r"no_change_needed without a reason"),
    "nested-repository": Bad(
        "echo x > a; git init -q inner; echo y > inner/b; git -C inner add b;"
        "git -C inner -c user.name=x -c user.email=x@y commit -qm inner",
        r"repository of its own.*inner", "a"),
    "fake-pr": Bad(
        "echo 'Opened https://forge.example/acme/app/pull/12345'; echo 'local://app/pull/77'",
        r"nothing was changed"),
    "closes-all": Bad("exec >&- 2>&- <&-; exit 0", r"nothing was changed"),
    "idle": Bad("echo started; echo x > a; sleep 300", r"said nothing for 3 s", "a"),
    "endless": Bad(
        "echo x > a; while :; do echo still at it; sleep 0.2; done", r"timed out after 5 s", "a"),
    "deaf": Bad(
        "trap '' INT TERM HUP; echo x > a; while :; do echo no; sleep 0.2; done",
        r"timed out after 5 s", "a"),
    "pre-commit": Bad("echo x > a", r"refused.*the hook says no", "a"),
    "deletes-branch": Bad("echo x > a; git branch -qD mine", r"branch mine was deleted", "a"),
    "moves-branch": Bad("echo x > a; git branch -qf mine HEAD", r"branch mine was rewritten", "a"),
    "deletes-tag": Bad("echo x > a; git tag -d v1 >&2", r"tag v1 was deleted", "a"),
    "moves-tag": Bad("echo x > a; git tag -f v1 HEAD~0 -m x >&2", r"tag v1 was rewritten", "a"),
    "drops-stash": Bad("echo x > a; git stash clear", r"stash", "a"),
    "pops-stash": Bad("git stash pop -q", r"stash"),
    "rewrites-main": Bad(
        "echo x > a; h=$(git commit-tree HEAD^{tree} -m evil); git update-ref refs/heads/main $h",
        r"branch main was rewritten", "a"),
    "rewrites-origin": Bad(
        "echo x > a; h=$(git commit-tree HEAD^{tree} -m evil);" + PUSH + '-f "$u" $h:main',
        r"main at the origin was rewritten from [0-9a-f]{12} to [0-9a-f]{12}", "a"),
    "pushes-to-origin": Bad(
        "echo x > a; git add a; git commit -qm a;" + PUSH + '"$u" HEAD:main',
        r"its commits were pushed to main at the origin", "a"),
    "deletes-at-origin": Bad(
        "echo x > a; git add a; git commit -qm a;" + PUSH + '"$u" :main',
        r"main at the origin was deleted", "a"),
}  # fmt: skip
LIMITS = {
    "idle": {"idle_timeout": "3s"},
    "endless": {"timeout": "5s"},
    "deaf": {"timeout": "5s"},
}


GOOD = """\
git rm -rq --cached .
git checkout -q "$(git merge-base HEAD origin/main)" -- .
git clean -ffdqx
mkdir -p in; echo good > "in/$ORCHESTR_CELL"
"""


@dataclass
class Story:
    """Two runs: what the first said and left, what the second did."""

    ws: Workspace
    reasons: dict[str, str]
    kept: dict[str, set[str]]
    before: dict[str, Bystander]
    between: dict[str, Bystander]
    after: dict[str, str]
    second: str


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    ws = Workspace.make(
        tmp_path_factory.mktemp("bad") / "ws",
        repos=[],
        cells={
            name: {"repo": f"r-{name}", "owned_paths": list(bad.owned), **LIMITS.get(name, {})}
            for name, bad in CASES.items()
        },
        settings={"limits": {"jobs": 12}},
    )
    before = {}
    for name, bad in CASES.items():
        repo = ws.repo(f"r-{name}")
        Bystander.furnish(repo)
        if name == "pre-commit":
            hook = repo.path / ".git" / "hooks" / "pre-commit"
            hook.parent.mkdir(exist_ok=True)
            hook.write_text("#!/bin/sh\necho the hook says no >&2\nexit 1\n")
            hook.chmod(0o755)
        before[name] = Bystander.of(repo)
        assert repo.origin is not None
        git(repo.origin, "config", "receive.denyDeleteCurrent", "ignore")
        ws.script(name, f"{bad.script}\n:\n")
    try:
        ws.run("run", "demo", code=1)
        reasons = {e["cell"]: e["data"]["reason"] for e in ws.journal(kind="phase.failed")}
        kept = {name: left(ws, name) for name in CASES}
        between = {name: Bystander.of(_repo(ws, name)) for name in CASES}
        (ws.repos / "r-pre-commit/.git/hooks/pre-commit").write_text("#!/bin/sh\n")
        for name in CASES:
            ws.script(name, GOOD)
            git(ws.repos / f"r-{name}.git", "update-ref", "refs/heads/main", before[name].main)
        second = both(ws.run("run", "demo"))
        after = ws.states()
        yield Story(ws, reasons, kept, before, between, after, second)
    finally:
        ws.end()


def _repo(ws: Workspace, name: str) -> Sandbox:
    return Sandbox(ws.repos / f"r-{name}", ws.repos / f"r-{name}.git")


def left(ws: Workspace, name: str) -> set[str]:
    """The paths in what was kept of the first attempt."""
    repo = ws.repos / f"r-{name}"
    ref = f"refs/orchestr/attempts/demo/{name}/1"
    if not git(repo, "for-each-ref", ref):
        return set()
    return set(git(repo, "ls-tree", "-r", "--name-only", ref).splitlines())


@pytest.mark.parametrize("name", CASES)
def test_the_cell_fails_with_its_reason(story: Story, name: str) -> None:
    reason = story.reasons.get(name, "it did not fail").removeprefix(f"cell demo:{name}: ")
    assert re.search(CASES[name].reason, reason), reason


@pytest.mark.parametrize("name", [n for n, bad in CASES.items() if bad.kept])
def test_what_it_left_is_kept(story: Story, name: str) -> None:
    assert CASES[name].kept in story.kept[name]


@pytest.mark.parametrize("name", CASES)
def test_nothing_else_is_harmed(story: Story, name: str) -> None:
    before, after = story.before[name], story.between[name]
    if name.endswith("-origin"):  # what was pushed is noticed, and not pushed over
        before = replace(before, origin=after.origin)
    assert after == before


@pytest.mark.parametrize("name", CASES)
def test_with_a_good_agent_the_next_run_ends_well(story: Story, name: str) -> None:
    assert story.after[name] == "done", story.second
    assert story.ws.result(name, "implement.toml").count('outcome = "changed"') == 1
    assert story.ws.pr(name)["state"] == "open"
    tree = git(story.ws.repos / f"r-{name}.git", "ls-tree", "-r", "--name-only", f"T-1-{name}")
    assert tree.splitlines() == ["README.md", f"in/{name}"]


def test_no_process_is_left(story: Story) -> None:
    assert story.ws.processes() == []
