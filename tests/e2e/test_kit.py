"""Ports and the worktree kit, through the program: leases, waiting, logs, limits."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from orchestr.state.ports import SIZE, is_free
from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do, wait_for

BIND = """\
import os, socket, sys, time
from pathlib import Path
room, wanted = Path(os.environ["AGENT_DIR"]), int(os.environ["AGENT_TOGETHER"])
cell = os.environ["ORCHESTR_CELL"]
ports = [int(os.environ[f"ORCHESTR_PORT_{i}"]) for i in range(10)]
assert (os.environ["BACKEND_PORT"], os.environ["FRONTEND_PORT"]) == tuple(map(str, ports[:2]))
env = dict(line.split("=", 1) for line in Path(".ports.env").read_text().splitlines())
assert [env[f"ORCHESTR_PORT_{i}"] for i in range(10)] == list(map(str, ports)), env
servers = [socket.create_server(("127.0.0.1", port)) for port in ports]
(room / f"{cell}.bound").write_text(" ".join(map(str, ports)))
end = time.monotonic() + 150
while len(list(room.glob("*.bound"))) < wanted:
    assert time.monotonic() < end, "the others did not come"
    time.sleep(0.05)
Path(f"{cell}.txt").write_text(cell)
"""


def free_base(blocks: int) -> int:
    """Ports that nobody has now, nor another worker of pytest in a moment."""
    first = 21000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 5 * 2000
    for base in range(first, first + 2000, 50):
        if all(is_free(port) for port in range(base, base + blocks * SIZE)):
            return base
    raise AssertionError("no free ports")


def binding(root: Path, cells: int, slots: int, together: int) -> tuple[Workspace, int]:
    base = free_base(slots)
    ws = Workspace.make(
        root / "w",
        cells={f"c{i}": {"ports": True} for i in range(cells)},
        settings={
            "ports": {"base": base, "slots": slots},
            "limits": {"jobs": cells, "timeout": "200s", "idle_timeout": "200s"},
            "agents": {"sh": {"env": {"AGENT_TOGETHER": str(together)}}},
        },
    )
    (ws.agents / "bind.py").write_text(BIND)
    for i in range(cells):
        ws.script(f"c{i}", f'"{sys.executable}" "$AGENT_DIR/bind.py" || exit 1\n')
    return ws, base


def test_fifteen_cells_bind_their_ports_at_once(tmp_path: Path) -> None:
    ws, base = binding(tmp_path, 15, 15, 15)
    ws.run("run", FEATURE, code=0)
    ports = [p for path in ws.agents.glob("*.bound") for p in path.read_text().split()]
    assert sorted(map(int, ports)) == list(range(base, base + 150))
    for i in range(15):
        assert ws.heads()[ws.branch(f"c{i}")]
        assert not (ws.worktree(f"c{i}") / ".ports.env").exists()
    entries = json.loads((ws.root / ".orchestr" / "registry.json").read_text())["entries"]
    assert all(entry["ports"] == [] for entry in entries.values())
    nothing_to_do(ws)


def test_fifteen_cells_whose_checks_bind_their_ports_at_once(tmp_path: Path) -> None:
    """Real sockets, all held at the same moment, and a real server behind an `api_probe` each."""
    base = free_base(15)
    bind = [line for line in BIND.splitlines() if not line.startswith("Path(f")]
    env = {"AGENT_DIR": str(tmp_path / "w" / "agents"), "AGENT_TOGETHER": "15"}
    checks = [
        {"kind": "command", "name": "bind", "run": [sys.executable, "-c", "\n".join(bind)],
         "env": env, "timeout": "90s"},
        {"kind": "api_probe", "name": "serve", "path": "/README.md", "timeout": "60s",
         "start": [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "${BACKEND_PORT}"],
         "ready": {"timeout": "50s"}},
    ]  # fmt: skip
    ws = Workspace.make(
        tmp_path / "w",
        cells={f"c{i}": {"ports": True, "checks": checks} for i in range(15)},
        settings={
            "ports": {"base": base, "slots": 15},
            "limits": {"jobs": 15},
            "checks": {"jobs": 15},
        },
    )
    ws.run("run", FEATURE, code=0)
    ports = [p for path in ws.agents.glob("*.bound") for p in path.read_text().split()]
    assert sorted(map(int, ports)) == list(range(base, base + 150))
    passed = [e["data"]["passed"] for e in ws.journal(kind="check.done")]
    assert passed == [True] * 30
    assert ws.journal(kind="repair.opened") == []
    assert all(is_free(port) for port in range(base, base + 150))
    nothing_to_do(ws)


def test_who_finds_no_ports_waits_without_a_slot_and_goes_on(tmp_path: Path) -> None:
    ws, _ = binding(tmp_path, 3, 2, 1)
    for i in range(3):
        script = (ws.agents / f"c{i}.sh").read_text()
        ws.script(f"c{i}", f'while [ ! -e "$AGENT_DIR/go" ]; do sleep 0.05; done\n{script}')
    run = ws.spawn("run", FEATURE)
    waiting = wait_for(lambda: ws.journal(kind="cell.waiting"), "a cell that waits")
    assert "all 2 blocks of ports" in waiting[0]["data"]["reason"]
    wait_for(lambda: len(ws.starts()) == 2, "two agents")
    cell = ws.status()[waiting[0]["cell"]]
    assert cell["state"] == "waiting"
    assert "blocks of ports" in cell["reason"]
    (ws.agents / "go").touch()
    assert run.ended() == 0, run.said()
    assert len(ws.starts()) == 3


def test_waiting_for_ports_can_be_stopped(tmp_path: Path) -> None:
    ws, _ = binding(tmp_path, 2, 1, 1)
    for i in range(2):
        ws.script(f"c{i}", "sleep 60\n")
    run = ws.spawn("run", FEATURE)
    wait_for(lambda: ws.journal(kind="cell.waiting"), "a cell that waits")
    ws.run("abort", FEATURE, code=0)
    assert run.ended() == 130, run.said()


def test_a_killed_run_keeps_its_ports_and_goes_on_with_them(tmp_path: Path) -> None:
    ws, base = binding(tmp_path, 1, 2, 1)
    script = (ws.agents / "c0.sh").read_text()
    ws.script("c0", f'while [ ! -e "$AGENT_DIR/go" ]; do sleep 0.05; done\n{script}')
    run = ws.spawn("run", FEATURE)
    wait_for(ws.starts, "the agent")
    run.kill()
    run.wait()
    (ws.agents / "go").touch()
    ws.run("run", FEATURE, code=0)
    assert ws.starts() == ["c0 1"]
    assert (ws.agents / "c0.bound").read_text().split()[0] == str(base)


def test_ports_of_a_killed_run_whose_agent_is_gone_are_free_again(tmp_path: Path) -> None:
    ws, base = binding(tmp_path, 2, 1, 1)
    ws.script("c0", "sleep 60\n")
    run = ws.spawn("run", f"{FEATURE}:c0")
    wait_for(ws.starts, "the agent")
    run.kill()
    run.wait()
    for process in ws.processes():
        process.kill()
    wait_for(lambda: not ws.processes(), "their end")
    ws.run("run", f"{FEATURE}:c1", code=0)
    assert (ws.agents / "c1.bound").read_text().split()[0] == str(base)


def kit(root: Path, **repo: object) -> Workspace:
    return Workspace.make(root / "w", cells={"one": {}}, settings={"repos": {"app": repo}})


def test_links_and_copies_as_they_are_found(tmp_path: Path) -> None:
    """A missing source is passed over, what is tracked stays; the prompt tells."""
    ws = kit(tmp_path, link=["scratch", "missing", "README.md"], copy=[".env", "conf", "none"])
    app = ws.repos / "app"
    (app / "scratch").mkdir()
    (app / "conf").mkdir()
    (app / "conf" / "a").write_text("a")
    (app / ".env").write_text("X=1")
    ws.run("run", FEATURE, code=0)
    tree = ws.worktree("one")
    assert (tree / "scratch").resolve() == (app / "scratch").resolve()
    assert not (tree / "README.md").is_symlink()
    assert ((tree / ".env").read_text(), (tree / "conf" / "a").read_text()) == ("X=1", "a")
    prompt = (ws.cell_dir("one") / "attempts" / "1" / "prompt.md").read_text()
    assert "Linked from the main checkout and shared with other cells: `scratch`." in prompt
    assert "missing" not in prompt


def test_setup_has_a_log_and_its_failure_tells_and_is_done_again(tmp_path: Path) -> None:
    ws = kit(
        tmp_path,
        setup=["echo first; echo on-stderr >&2", 'echo looking; test -e "$HOME/ready" || exit 3'],
    )
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home)}
    done = ws.run("run", FEATURE, code=1, env=env)
    assert "setup command 2 failed" in both(done)
    assert "looking" in both(done)
    log = ws.cell_dir("one") / "setup-2.log"
    assert f"all that it said: {log}" in both(done)
    assert (ws.cell_dir("one") / "setup-1.log").read_text().split() == ["first", "on-stderr"]
    assert ws.starts() == []
    (home / "ready").touch()
    ws.run("run", FEATURE, code=0, env=env)
    assert not (ws.cell_dir("one") / "setup-pending").exists()


def test_a_setup_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    ws = kit(tmp_path, setup=["echo begun; sleep 300 & echo $! > child; wait"], setup_timeout="1s")
    done = ws.run("run", FEATURE, code=1)
    assert "setup command 1 failed" in both(done)
    assert "begun" in both(done)
    pid = int((ws.worktree("one") / "child").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the end of the child", timeout=10)


def test_a_setup_killed_halfway_is_done_again(tmp_path: Path) -> None:
    ws = kit(tmp_path, setup=['echo x >> "$HOME/setups"; [ -e "$HOME/go" ] || sleep 30'])
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home)}
    run = ws.spawn("run", FEATURE, env=env)
    wait_for((home / "setups").exists, "the set-up")
    run.kill()
    run.wait()
    (home / "go").touch()
    ws.run("run", FEATURE, code=0, env=env)
    assert (home / "setups").read_text() == "x\nx\n"
    assert ws.starts() == ["one 1"]


def test_teardown_has_a_log_and_its_failure_is_told(tmp_path: Path) -> None:
    ws = kit(tmp_path, teardown=["echo bye", "echo broken; exit 4"])
    ws.run("run", FEATURE, code=0)
    done = ws.run("clean", FEATURE, code=0)
    assert "teardown command 2 failed" in both(done)
    assert (ws.cell_dir("one") / "teardown-1.log").read_text() == "bye\n"
    assert not ws.worktree("one").exists()


def test_forget_keeps_the_worktree_and_clean_tears_it_down_once(tmp_path: Path) -> None:
    """Forgotten is not gone: its services stay as they are, the next attempt works there."""
    book = tmp_path / "book"
    ws = kit(tmp_path, setup=[f"echo up >> {book}"], teardown=[f"echo down $PWD >> {book}"])
    ws.run("run", FEATURE, code=0)
    ws.run("forget", FEATURE, code=0)
    ws.run("run", FEATURE, code=0)
    assert book.read_text().splitlines() == ["up"]
    ws.run("forget", FEATURE, code=0)
    ws.run("clean", FEATURE, code=0)
    ws.run("clean", FEATURE, code=0)
    assert book.read_text().splitlines() == ["up", f"down {ws.worktree('one')}"]
    entries = json.loads((ws.root / ".orchestr" / "registry.json").read_text())["entries"]
    assert [(e["status"], e["ports"]) for e in entries.values()] == [("released", [])]
    ws.run("run", FEATURE, code=0)
    assert [line.split()[0] for line in book.read_text().splitlines()] == ["up", "down", "up"]
