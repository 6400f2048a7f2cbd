"""A person works in a clone while an agent does: what they do stays, and nothing of it is lost.

Each cell has a repository of its own. The agents of all begin, then a person acts in every clone,
then the agents end. Some agents do something in the clone, too: of that nothing stays.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from orchestr.supervisor.write_samples import SLACK, WRITES
from tests.conftest import git
from tests.e2e.workspace import Workspace, wait_for
from tests.hostile.bystander import Bystander

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Act:
    """What a person does in the clone, how it is seen to be there still, and what is kept.

    ``look`` is a command in the clone whose answer must be ``want``. ``agent`` does something at
    the same time. ``warned`` must be in a warning; empty: there is none.
    """

    do: str
    look: str
    want: str
    warned: str = ""
    kept: str = ""
    agent: str = ""


STASHES = "git stash list --format=%gs"
NAMES = "git for-each-ref '--format=%(refname:short)' refs/heads/mine refs/heads/new refs/tags"
ACTS: Mapping[str, Act] = {
    "pops": Act("git checkout -q -f . && git reset -q --hard && git stash pop -q", STASHES, "",
                "the stash 'WIP on main", "stash"),
    "drops": Act("git stash drop -q", STASHES, "", "that stays as it is", "stash"),
    "stashes": Act("git stash -q", "git stash list | wc -l", "2"),
    "deletes": Act("git branch -qD mine", NAMES, "v1", "branch mine was deleted", "mine"),
    "renames": Act("git branch -m mine new", NAMES, "new\nv1", "branch mine was deleted", "mine"),
    "forces": Act("git branch -qf mine main", "git rev-parse mine main | uniq | wc -l", "1",
                  "branch mine was rewritten", "mine"),
    "tags": Act("git tag -f v1 main", "git rev-parse v1 main | uniq | wc -l", "1",
                "tag v1 was rewritten", "v1"),
    "untags": Act("git tag -d v1", "git tag", "", "tag v1 was deleted", "v1"),
    "creates": Act("git branch new && git tag v2", NAMES, "mine\nnew\nv1\nv2"),
    "prunes": Act("git -C $(git config remote.origin.url) branch -qD other && git fetch -q --prune",
                  "git branch -r --list origin/other", "",
                  "branch other at the origin was deleted"),
    "configures": Act("git config user.email me@example.org && git config alias.co checkout",
                      "git config user.email", "me@example.org", "(alias.co, user.email), and not"),
    "hooks-path": Act("git config core.hooksPath .husky", "git config core.hooksPath", ".husky",
                      "(core.hookspath), and not by its agent"),
    "hook": Act("{ echo '#!/bin/sh'; seq -f '# %g' 20000; } > .git/hooks/pre-push",
                "head -n 1 .git/hooks/pre-push", "#!/bin/sh",
                "pre-push was changed, and not by its agent"),
    # The agent uses git meanwhile, in its own worktree and on its own stash.
    "beside-stashes": Act(
        "git stash drop -q", STASHES, "", "that stays as it is", "stash",
        agent="echo y > y; git stash -qu; git stash pop -q; git fetch -q -p; git branch own"),
    # The agent does something of the same kind: both are told apart.
    "beside-config": Act(
        "git config user.email me@example.org", "git config user.email; git config core.pager",
        "me@example.org", "(core.pager); it was put back", agent="git config core.pager evil"),
    "beside-branch": Act(
        "git branch -qD mine", "git for-each-ref '--format=%(refname:short)' refs/heads/mine "
        "refs/heads/second", "second", "branch mine was deleted", "mine",
        agent="git branch -qD second"),
}  # fmt: skip
HARMFUL = {"beside-branch"}


@dataclass
class Story:
    ws: Workspace
    said: str
    states: dict[str, str]
    old: dict[str, set[str]]


def is_seen(ws: Workspace, name: str) -> bool:
    """Whether the supervisor has looked at the agent's writes since that began to wait."""
    began = (ws.agents / f"{name}.began").stat().st_mtime
    return (ws.cell_dir(name) / "attempts/1" / WRITES).stat().st_mtime > began + 3 * SLACK


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    ws = Workspace.make(
        tmp_path_factory.mktemp("meanwhile") / "ws",
        repos=[],
        cells={name: {"repo": f"r-{name}"} for name in ACTS},
        settings={"limits": {"jobs": len(ACTS)}},
    )
    old = {}
    for name, act in ACTS.items():
        repo = ws.repo(f"r-{name}")
        Bystander.furnish(repo)
        repo.git("branch", "second", "mine")
        (repo.path / ".git/hooks").mkdir(exist_ok=True)
        # More than an agent writes in the time of a look at it: that shows that it was not the one.
        with (repo.path / ".git/config").open("a") as config:
            config.write("".join(f"# {number}\n" for number in range(20_000)))
        old[name] = set(repo.git("rev-parse", "mine", "v1", "stash@{0}", "main").splitlines())
        ws.script(name, f"""
            {act.agent or ":"}
            echo x > a
            touch "$AGENT_DIR/{name}.began"
            while [ ! -e "$AGENT_DIR/go" ]; do sleep 0.1; done
        """)  # fmt: skip
    try:
        run = ws.spawn("run", "demo")
        wait_for(lambda: all((ws.agents / f"{n}.began").exists() for n in ACTS), "every agent")
        wait_for(lambda: all(is_seen(ws, n) for n in ACTS), "a look at what each has written")
        for name, act in ACTS.items():
            subprocess.run(["sh", "-ec", act.do], cwd=ws.repos / f"r-{name}", check=True,
                           capture_output=True)  # fmt: skip
        (ws.agents / "go").touch()
        run.ended()
        yield Story(ws, run.said(), ws.states(), old)
    finally:
        ws.end()


@pytest.mark.parametrize("name", ACTS)
def test_no_cell_fails_for_a_persons_act(story: Story, name: str) -> None:
    assert story.states[name] == ("failed" if name in HARMFUL else "done"), story.said


@pytest.mark.parametrize("name", ACTS)
def test_what_the_person_did_stays(story: Story, name: str) -> None:
    done = subprocess.run(["sh", "-c", ACTS[name].look], cwd=story.ws.repos / f"r-{name}",
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.stdout.strip() == ACTS[name].want


@pytest.mark.parametrize("name", ACTS)
def test_it_is_warned_of(story: Story, name: str) -> None:
    told = [e["data"]["reason"] for e in story.ws.journal(kind="cell.warned") if e["cell"] == name]
    assert bool(told) == bool(ACTS[name].warned), told
    assert any(ACTS[name].warned in text for text in told) or not told, told


@pytest.mark.parametrize("name", [n for n, act in ACTS.items() if act.kept])
def test_what_it_took_away_is_kept(story: Story, name: str) -> None:
    refs = git(story.ws.repos / f"r-{name}", "for-each-ref", "refs/orchestr/kept",
               "--format=%(objectname) %(refname)").splitlines()  # fmt: skip
    assert [ref.rpartition("/")[2] for ref in refs] == [ACTS[name].kept]
    assert refs[0].split()[0] in story.old[name]


def test_what_the_agent_did_is_its_failure_alone(story: Story) -> None:
    reasons = {e["cell"]: e["data"]["reason"] for e in story.ws.journal(kind="phase.failed")}
    assert list(reasons) == ["beside-branch"]
    assert "branch second was deleted; it was put back" in reasons["beside-branch"]
    assert "mine" not in reasons["beside-branch"]


CELLS: Mapping[str, Mapping[str, object]] = {"author": {}, "late": {}}


def test_a_branch_of_a_done_cell_that_a_person_deletes(tmp_path: pytest.TempPathFactory) -> None:
    ws = Workspace.make(tmp_path / "ws", cells=CELLS)  # type: ignore[operator]
    try:
        ws.run("run", "demo:author", code=0)
        head = ws.head("author")
        ws.script("late", """
            echo x > a; touch "$AGENT_DIR/began"; while [ ! -e "$AGENT_DIR/go" ]; do sleep 0.1; done
        """)  # fmt: skip
        run = ws.spawn("run", "demo:late")
        wait_for((ws.agents / "began").exists, "the agent")
        git(ws.repos / "app", "update-ref", "-d", "refs/heads/T-1-author")
        (ws.agents / "go").touch()
        assert run.ended() == 0, run.said()
        assert "branch T-1-author of cell author was deleted, and not by its agent" in run.said()
        assert head in git(ws.repos / "app", "for-each-ref", "refs/orchestr/kept")
    finally:
        ws.end()
