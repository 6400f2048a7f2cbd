"""Agents, reviewers, checks and set-up commands that call our own verbs: one run of all of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace, both

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ENV = f'env -i PATH="$PATH" HOME="$HOME" PYTHONPATH="{ROOT}"'
DAEMON = """\
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
time.sleep(1)
code = os.system('''cd {root} && {env} {python} -m orchestr approve demo:gated --yes''')
open(sys.argv[1], "w").write(str(os.waitstatus_to_exitcode(code)))
"""
CALLS: Mapping[str, str] = {
    "approves": "orchestr approve demo:gated --yes",
    "rejects": "orchestr approve demo:gated --reject --reason no --yes",
    "runs": "orchestr run demo --yes",
    "forgets": "orchestr forget demo:gated",
    "cleans": "orchestr clean demo:gated",
    "ignores": "orchestr ignore demo:gated",
    "aborts": "orchestr abort demo",
    "amends": "orchestr amend demo:gated",
    "lands": "orchestr land demo",
    "rolls-back": "orchestr rollback demo",
    "repairs": "orchestr doctor --fix",
    "clears": f"{ENV} orchestr approve demo:gated --yes",
    "shell": f"{ENV} sh -c 'orchestr approve demo:gated --yes'",
    "session": f"{ENV} setsid -w orchestr approve demo:gated --yes",
    "doit": "{python} -m doit forget demo:gated",
    "subfolder": "cd specs && orchestr approve demo:gated --yes",
}  # fmt: skip
READS = ("status demo", "explain demo:gated", "plan demo", "logs demo:gated", "list", "validate",
         "doctor", "graph demo", "info demo:gated")  # fmt: skip


@dataclass
class Story:
    ws: Workspace
    said: str

    def code(self, name: str) -> str:
        return (self.ws.agents / f"{name}.code").read_text().strip()

    def told(self, cell: str) -> list[str]:
        events = self.ws.journal(kind="cell.warned")
        return [e["data"]["reason"] for e in events if e["cell"] == cell]


def call(ws: Workspace, name: str, words: str) -> str:
    python = sys.executable
    words = words.replace("orchestr ", f"{python} -m orchestr ").replace("{python}", python)
    return (
        f"(cd {ws.root}; export PYTHONPATH={ROOT}; {words}) > {ws.agents}/{name}.said 2>&1 "
        f"< /dev/null; echo $? > {ws.agents}/{name}.code\n"
    )


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    check = {"kind": "command", "name": "approves", "run": ["sh", "{dir}/in-check.sh"]}
    cells: dict[str, dict[str, object]] = {"gated": {"approve": "publish"}}
    after = {"depends_on": ["gated"]}
    cells |= {name: dict(after) for name in (*CALLS, "reads", "daemon", "elsewhere")}
    cells["checked"] = {**after, "checks": []}
    cells["reviewed"] = {**after, "reviewers": [{"name": "first", "agent": "judge"}]}
    cells["set-up"] = {"repo": "web"}
    ws = Workspace.make(tmp_path_factory.mktemp("inside") / "ws", repos=("app", "web"),
                        settings={"limits": {"jobs": 4}})  # fmt: skip
    check["run"] = ["sh", f"{ws.agents}/in-check.sh"]
    cells["checked"]["checks"] = [check]
    (ws.agents / "in-check.sh").write_text(call(ws, "in-check", CALLS["approves"]))
    (ws.root / "judge.sh").write_text(
        call(ws, "in-review", CALLS["approves"]) + 'echo \'{"verdict": "approve", "issues": []}\'\n'
    )
    ws.settings(
        limits={"jobs": 4},
        agents={"judge": {"kind": "command", "run": ["sh", f"{ws.root}/judge.sh"]}},
        repos={"web": {"setup": [call(ws, "in-setup", CALLS["approves"])]}},
    )
    ws.spec(cells)
    for name, words in CALLS.items():
        ws.script(name, f"echo x > a-{name}\n" + call(ws, name, words))
    ws.script("reads", "echo x > r\n" + "".join(
        call(ws, f"read-{n}", f"orchestr {words}") for n, words in enumerate(READS)))  # fmt: skip
    other = ws.root / "other"
    ws.script("elsewhere", "echo x > e\n" + call(
        ws, "elsewhere", f"mkdir -p {other}/specs; cp orchestr.toml {other}; cd {other}; "
        "orchestr forget --all"))  # fmt: skip
    daemon = DAEMON.format(root=ws.root, env=ENV, python=sys.executable)
    (ws.agents / "daemon.py").write_text(daemon)
    ws.script("daemon", f"echo x > d; {sys.executable} {ws.agents}/daemon.py "
              f"{ws.agents}/daemon.code; sleep 6")  # fmt: skip
    try:
        ws.run("run", "demo:gated")  # built, and waits at its gate
        yield Story(ws, both(ws.run("run", "demo")))
    finally:
        ws.end()


@pytest.mark.parametrize("name", CALLS)
def test_a_verb_for_people_is_refused(story: Story, name: str) -> None:
    said = (story.ws.agents / f"{name}.said").read_text()
    assert story.code(name) in ("2", "3"), said  # 3: plain doit's own code
    assert "is for people; its agent called it while cell demo:" + name in said
    assert "hint: finish the work in the worktree" in said


@pytest.mark.parametrize("name", CALLS)
def test_it_is_noted_in_the_journal(story: Story, name: str) -> None:
    told = [text for text in story.told(name) if "that is for people and was refused" in text]
    assert len(told) == 1, story.told(name)
    assert told[0].startswith("its agent called `orchestr ")


@pytest.mark.parametrize("number", range(len(READS)))
def test_reading_is_allowed(story: Story, number: int) -> None:
    said = (story.ws.agents / f"read-{number}.said").read_text()
    assert "is for people" not in said
    assert story.code(f"read-{number}") in ("0", "1"), (READS[number], said)


@pytest.mark.parametrize(
    ("name", "cell", "who"),
    [("in-check", "checked", "a check"), ("in-review", "reviewed", "its reviewer first"),
     ("in-setup", "set-up", "setup command 1")],
)  # fmt: skip
def test_so_is_it_for_checks_reviewers_and_setup(
    story: Story, name: str, cell: str, who: str
) -> None:
    assert story.code(name) == "2"
    assert any(text.startswith(f"{who} called `orchestr approve") for text in story.told(cell))


def test_a_process_that_left_its_parent_is_found(story: Story) -> None:
    assert story.code("daemon") == "2"


def test_another_workspace_is_none_of_its_business(story: Story) -> None:
    assert "is for people" not in (story.ws.agents / "elsewhere.said").read_text()


def test_the_gate_is_closed_and_the_work_is_done(story: Story) -> None:
    states = story.ws.states()
    assert states.pop("gated") == "approval"
    assert not (story.ws.cell_dir("gated") / "approvals").exists()
    assert "T-1-gated" not in story.ws.heads()


def test_a_person_may_still(story: Story) -> None:
    story.ws.run("approve", "demo:gated", "--yes", code=0)
