"""The real programs behind the wall: commit, a check, a resumed session, kills, a usage limit."""

from __future__ import annotations

import threading
import time

import psutil
import pytest

from orchestr.supervisor import client
from tests.agents.certificates import HOST, TRUSTED_BY, make_certificates
from tests.agents.conftest import MakeHouse, program
from tests.agents.house import AgentHouse
from tests.agents.model_server import Asked, Fault, Run, Say
from tests.agents.test_real_agents import QUICK, limit
from tests.conftest import WALL, Sandbox
from tests.e2e.workspace import both, wait_for
from tests.sandbox.walls import BEHIND_THE_WALL

pytestmark = [pytest.mark.slow, BEHIND_THE_WALL]

KINDS = ["claude", "codex", "gemini", "opencode"]
NO_PUSH = {
    "claude": "with command git push origin HEAD has been denied",
    "codex": "transport 'orchestr-no-push' not allowed",
    "gemini": "Tool execution denied by policy",
    "opencode": "a rule which prevents you from using this specific tool call",
}
OTHER = Run("echo lost > a.txt")  # what only an agent does that has forgotten what it did before


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, wall: str) -> str:
    """Each kind whose program is there."""
    name: str = request.param
    program(name)
    return name


def sessions(ws: AgentHouse) -> list[str]:
    """The session of each start of the author's, in order."""
    return [e["data"]["session"] for e in ws.journal(kind="attempt.exited")]


def test_it_commits_is_checked_and_mends_in_its_session(house: MakeHouse, kind: str) -> None:
    check = {"kind": "command", "name": "good", "run": ["grep", "-q", "good", "a.txt"]}
    first = [Run("echo bad > a.txt"), Run("git add a.txt"), Run('git commit -q -m "its own words"'),
             Run("git log -1 --format=as:%s")]  # fmt: skip
    mend = [*[OTHER] * len(first), Run("echo good > a.txt"), Run("git push origin HEAD")]
    ws = house(kind, [*first, Say("Done.")], cells={"a": {"checks": [check]}},
               scripts={"and they are red": [*mend, Say("Mended.")]})  # fmt: skip
    ws.run("run", "demo", "--yes", code=0)

    assert ws.show("a", "a.txt") == "good"
    assert "as:its own words" in ws.transcript()
    assert ws.pr("a")["head_sha"] == ws.head("a")
    assert len(sessions(ws)) == 2 and len(set(sessions(ws))) == 1
    launched = client.read_launch(ws.cell_dir("a") / "attempts" / "1")
    assert launched.walled
    assert NO_PUSH[kind] in ws.transcript()
    assert ws.processes() == []


def test_it_is_adopted_after_a_kill_and_goes_on_after_a_limit(house: MakeHouse, kind: str) -> None:
    gate, refused = threading.Event(), list[float]()

    def fault(asked: Asked, _number: int) -> Fault | None:
        if asked.turn == 1:
            gate.wait(60)
        if asked.turn != 2 or (refused and time.time() >= refused[0]):
            return None
        if not refused:
            refused.append(time.time() + 2)
        return limit(refused[0])

    turns = [Run(f"echo {word} >> a.txt") for word in ("one", "two", "three")]
    ws = house(kind, [*turns, Say("Done.")], fault=fault,
               agent={"retry_after": "1s", "retry_max": "1s"})  # fmt: skip
    run = ws.spawn("run", "demo", "--yes", env=QUICK)
    wait_for(lambda: any(a.turn == 1 for a in ws.model.asked), "its second question")
    run.kill()
    run.wait()
    gate.set()
    ws.run("run", "demo", "--yes", code=0, env=QUICK)

    assert ws.show("a", "a.txt") == "one\ntwo\nthree"
    assert [e["attempt"] for e in ws.journal(kind="attempt.opened")] == [1]
    assert ws.journal(kind="attempt.adopted")
    assert len(set(sessions(ws))) == 1
    assert refused
    # opencode waits and asks again by itself; the others end, and their session is resumed.
    assert bool(ws.journal(kind="attempt.limited")) == (kind != "opencode")
    assert ws.processes() == []


def test_an_attempt_of_a_run_without_a_wall_goes_on_behind_it(house: MakeHouse, kind: str) -> None:
    """Its session lies in the user's own folder, which it cannot see: it gets the whole prompt."""
    if kind == "opencode":
        pytest.skip("it waits for the end of a limit by itself")
    gate = threading.Event()

    def fault(asked: Asked, _number: int) -> Fault | None:
        return None if gate.is_set() or asked.turn != 1 else limit(time.time() + 3600)

    ws = house(kind, [Run("echo one > a.txt"), Run("echo two > b.txt"), Say("Done.")],
               fault=fault, agent={"retry_after": "1s", "retry_max": "1s"})  # fmt: skip
    run = ws.spawn("run", "demo", "--yes", env={**QUICK, WALL: "none"})
    wait_for((ws.cell_dir("a") / "attempts" / "1" / "exit.1.json").exists, "its limit")
    run.kill()
    run.wait()
    gate.set()
    ws.run("run", "demo", "--yes", code=0, env=QUICK)
    assert (ws.show("a", "a.txt"), ws.show("a", "b.txt")) == ("one", "two")
    assert [e["attempt"] for e in ws.journal(kind="attempt.opened")] == [1]


def test_it_reaches_its_server_through_proxies_only(house: MakeHouse, kind: str) -> None:
    """No name can be looked up in the sandbox: ours looks at its TLS, and passes it on to the
    user's own proxy."""
    ws = house(kind, [Run("echo one > a.txt"), Say("Done.")], address=f"https://{HOST}")
    authority, ws.model.tls = make_certificates(ws.root)
    names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")
    trust = dict.fromkeys(TRUSTED_BY, str(authority))
    ws.run("run", "demo", "--yes", code=0, env={**dict.fromkeys(names, ws.model.url), **trust})
    assert ws.show("a", "a.txt") == "one"
    assert len(ws.model.asked) == 2
    assert f"{HOST}:443" in ws.model.tunnels


LOOP = """\
[ -e up ] && exit 0
setsid sh -c 'trap "" INT TERM; sleep 600' &
env -i setsid sleep 600 &
touch up
sleep 600
"""


def at_work(house: MakeHouse, kind: str) -> AgentHouse:
    """Its tool runs a program that never ends, and two that are in sessions of their own."""
    settings = {"repos": {"app": {"tools": ["sh"]}}, "limits": {"grace": "5s"}}
    turns = [Run("sh loop.sh"), Run("echo one > a.txt"), Say("Done.")]
    ws = house(kind, turns, settings=settings)
    Sandbox(ws.repos / "app", None).commit({"loop.sh": LOOP}, "a loop", push=True)
    return ws


def inside(ws: AgentHouse) -> list[psutil.Process]:
    """What lives in the sandbox of the cell's agent: all that descends from its own process."""
    record = client.read_supervisor_record(ws.cell_dir("a") / "attempts" / "1")
    assert record is not None and record.agent_pid is not None
    return psutil.Process(record.agent_pid).children(recursive=True)


def test_nothing_of_it_outlives_its_supervisor(house: MakeHouse, kind: str) -> None:
    """The kernel ends what is in the sandbox; nothing else is left to do it."""
    ws = at_work(house, kind)
    run = ws.spawn("run", "demo", "--yes")
    wait_for((ws.worktree("a") / "up").exists, "its tool")
    wait_for(lambda: sum(p.name() == "sleep" for p in inside(ws)) == 3, "the programs")
    left = inside(ws)
    run.kill()
    run.wait()
    record = client.read_supervisor_record(ws.cell_dir("a") / "attempts" / "1")
    assert record is not None
    psutil.Process(record.pid).kill()
    assert psutil.wait_procs(left, timeout=10)[1] == []
    assert ws.processes() == []
    ws.run("run", "demo", "--yes", code=0)
    assert ws.show("a", "a.txt") == "one"
    assert [e["attempt"] for e in ws.journal(kind="attempt.opened")] == [1, 2]


def test_an_abort_is_heard_by_the_program_before_its_sandbox_ends(
    house: MakeHouse, kind: str
) -> None:
    ws = at_work(house, kind)
    run = ws.spawn("run", "demo", "--yes")
    wait_for((ws.worktree("a") / "up").exists, "its tool")
    left = inside(ws)
    done = ws.run("abort", "demo", code=0)
    run.ended()
    ended = client.read_exit(ws.cell_dir("a") / "attempts" / "1")
    assert ended is not None and ended.reason == "stopped", both(done)
    assert ended.signal is None and ended.code not in (128 + 9, 128 + 15), "it was not asked first"
    assert ended.seconds < 60
    assert psutil.wait_procs(left, timeout=10)[1] == []
    assert ws.processes() == []
