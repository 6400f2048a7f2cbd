"""SIGKILL while harm is put back: the same command still finds it, whatever shows it by then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git
from tests.crash.house import FEATURE, House, at_each, both

pytestmark = pytest.mark.slow

# Each alone: what one of them leaves on the disk must not hide that another's is lost.
HARMS = {
    "cell": "git -C {repo} update-ref refs/heads/T-1-one main\n",  # the branch of a finished cell
    "branch": "git -C {repo} branch -qD theirs\n",  # a person's
    "hook": "printf '#!/bin/sh\\n' > {repo}/.git/hooks/pre-push\n",
}
CELLS: dict[str, dict[str, Any]] = {"one": {}, "two": {}}
REVIEWED: dict[str, dict[str, Any]] = {"one": {}, "two": {"reviewers": [{"agent": "eve"}]}}
FINE = """echo "eve" >> "$AGENT_LOG"\necho '{"summary": "", "issues": []}'\n"""
AUTHOR = 'echo "$ORCHESTR_CELL" >> "$AGENT_LOG"\necho x > "$ORCHESTR_CELL.txt"\n{harm}'


def build(root: Path, *, kind: str = "", by_reviewer: bool = False) -> House:
    """A house whose cell `one` is done, and where the agent or reviewer of `two` does harm."""
    house = House.build(root, REVIEWED if by_reviewer else CELLS, agent=AUTHOR.format(harm=""))
    env = {"AGENT_LOG": str(house.log), "AGENT_DIR": str(house.agents)}
    eve = {"kind": "command", "run": ["sh", "eve.sh"], "env": env}
    house.settings(agents={"default": "sh", "eve": eve})
    (root / "eve.sh").write_text(FINE)
    house.run("run", f"{FEATURE}:one", code=0)
    app = house.repos / "app"
    git(app, "branch", "theirs", "T-1-one")
    (app / ".git" / "hooks").mkdir(exist_ok=True)
    harm = HARMS[kind].format(repo=app)
    if by_reviewer:
        (root / "eve.sh").write_text(harm + FINE)
    else:
        (root / "agent.sh").write_text(AUTHOR.format(harm=harm))
    return house


def refs_of(house: House) -> str:
    return git(house.repos / "app", "for-each-ref", "refs/heads/T-1-one", "refs/heads/theirs")


def unharmed(house: House, refs: str) -> None:
    """All is as it was, and nothing of the harmful cell counts."""
    assert refs_of(house) == refs
    assert not (house.repos / "app" / ".git" / "hooks" / "pre-push").exists()
    assert house.states()["two"] == "failed"
    assert [pr["head"] for pr in house.prs().values()] == ["T-1-one"]


def steps_of_harm(house: House) -> list[str]:
    """The steps between the end of the harmful agent and the verdict on it."""
    book = house.root / "steps"
    done = house.crash("count", "run", f"{FEATURE}:two", env={"CRASH_STEPS": str(book)})
    assert done.returncode == 1, both(done)
    steps = book.read_text().splitlines()
    ended = max(n for n, step in enumerate(steps) if "attempt.exited" in step)
    failed = next(n for n, step in enumerate(steps) if n > ended and "phase.failed" in step)
    return [step.split()[0] for step in steps[ended:failed]
            if step.startswith(("write:after", "ref:", "attempt:after"))]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "by_reviewer"),
    [("cell", False), ("branch", False), ("cell", True), ("branch", True), ("hook", True)],
)
def test_a_kill_while_harm_is_put_back(tmp_path: Path, kind: str, by_reviewer: bool) -> None:
    house = build(tmp_path / "undisturbed", kind=kind, by_reviewer=by_reviewer)
    refs = refs_of(house)
    steps = steps_of_harm(house)
    unharmed(house, refs)
    cases = [f"{place}#{number}" for place, _, number in (s.rpartition(":") for s in steps)]
    assert len(cases) >= 4, cases

    def act(house: House, at: str) -> None:
        before = refs_of(house)
        killed = house.crash(at, "run", f"{FEATURE}:two")
        assert killed.returncode == -9, both(killed)
        done = house.run("run", f"{FEATURE}:two")
        assert done.returncode == 1, both(done)
        unharmed(house, before)

    at_each(cases, tmp_path, act, make=build, kind=kind, by_reviewer=by_reviewer)
