"""Exit 75: the agent's pool pauses, then the same attempt goes on; others are not held up."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.crash.house import FEATURE, House, both, wait_for

pytestmark = pytest.mark.slow
REFUSED = (
    'file="$AGENT_DIR/refusals-$ORCHESTR_CELL"\nn=$(cat "$file" 2>/dev/null || echo 0)\n'
    'if [ "$n" -lt "${REFUSE:-1}" ]; then echo $((n + 1)) > "$file"\n'
    'echo "come back later"; exit 75; fi\n'
)


def build(root: Path, retry: str, cells: dict[str, dict[str, object]], refuse: int = 1) -> House:
    """Two agents of the same program: `limited` refuses at first, `sh` never."""
    house = House.build(root, cells)
    env = {"AGENT_LOG": str(house.log), "AGENT_DIR": str(house.agents)}
    house.settings(
        agents={"limited": {"kind": "command", "run": ["sh", "agent.sh"], "retry_after": retry,
                            "env": {**env, "REFUSE": str(refuse)}}},
        limits={"grace": "0.3s"},
    )  # fmt: skip
    return house


def pause(house: House) -> dict[str, object]:
    value = json.loads((house.root / ".orchestr/locks/pause-limited.json").read_text())
    assert isinstance(value, dict)
    return value


def test_the_same_attempt_goes_on_after_the_pause(tmp_path: Path) -> None:
    house = build(tmp_path / "w", "0.2s", {"low": {"agent": "limited"}}, refuse=3)
    house.script("low", REFUSED)
    done = house.run("run", FEATURE, code=0)
    waits = [e["data"]["wait_s"] for e in house.journal(kind="attempt.limited")]
    assert len(waits) == 3
    assert waits[0] < waits[1] < waits[2], both(done)
    assert [e["attempt"] for e in house.journal(kind="attempt.opened")] == [1]
    text = (house.cell_dir("low") / "transcript.jsonl").read_text()
    assert text.count("come back later") == 3
    assert text.count("working on low") == 4
    assert house.book() == {"start low 1": 4, "end low 1": 1}
    assert pause(house)["wait"] == 0
    house.sound()


def test_a_paused_agent_holds_up_its_own_cells_only(tmp_path: Path) -> None:
    cells = {"low": {"agent": "limited"}, "late": {"agent": "limited"}, "free": {}}
    house = build(tmp_path / "w", "300s", cells)  # type: ignore[arg-type]
    house.script("low", REFUSED)
    house.script("late", REFUSED)
    try:
        run = house.spawn("run", FEATURE)
        wait_for(lambda: house.journal(kind="pr.opened"), "the free cell")
        wait_for(lambda: house.states()["free"] == "done", "its state")
        assert "waiting" in house.states().values()
        run.send_signal(signal.SIGINT)
        assert run.ended(30) == 130, run.said()
        house.quiet()
    finally:
        house.end()


def test_an_agent_that_began_before_the_pause_does_not_end_it(tmp_path: Path) -> None:
    cells = {"low": {"agent": "limited"}, "early": {"agent": "limited"}}
    house = build(tmp_path / "w", "300s", cells)  # type: ignore[arg-type]
    house.close("low", "early")
    house.script("low", REFUSED)
    try:
        run = house.spawn("run", FEATURE)
        house.working("low", "early")
        house.open("low")
        wait_for(lambda: house.journal(kind="attempt.limited"), "the pause")
        house.open("early")
        wait_for(lambda: house.journal(kind="pr.opened"), "the one that had begun")
        assert float(str(pause(house)["until"])) > time.time() + 100
        run.send_signal(signal.SIGINT)
        assert run.ended(30) == 130, run.said()
        assert house.book()["start low 1"] == 1
    finally:
        house.end()


def test_a_kill_during_the_pause_waits_only_the_rest(tmp_path: Path) -> None:
    house = build(tmp_path / "w", "4s", {"low": {"agent": "limited"}})
    house.script("low", REFUSED)
    killed = house.crash("journal:after#attempt.limited", "run", FEATURE)
    assert killed.returncode == -9
    until = float(str(pause(house)["until"]))
    house.run("run", FEATURE, code=0)
    assert time.time() >= until
    # The refusal was not told twice: the next run waited for the same time, not for a longer one.
    limited = [e["data"]["until"] for e in house.journal(kind="attempt.limited")]
    assert set(limited) == {until}
    assert house.book() == {"start low 1": 2, "end low 1": 1}
    assert [e["attempt"] for e in house.journal(kind="attempt.opened")] == [1]
    house.sound()


def test_ctrl_c_while_the_pool_is_paused_ends_at_once(tmp_path: Path) -> None:
    house = build(tmp_path / "w", "600s", {"low": {"agent": "limited"}})
    house.script("low", REFUSED)
    try:
        run = house.spawn("run", FEATURE)
        wait_for(lambda: house.journal(kind="attempt.limited"), "the pause")
        run.send_signal(signal.SIGINT)
        assert run.ended(30) == 130, run.said()
        # While the pause lasts the next run waits, too, and is ended as quickly.
        run = house.spawn("run", FEATURE)
        wait_for(lambda: len(house.journal(kind="run.started")) == 2, "the second run")
        assert house.run("abort", FEATURE, code=0)
        assert run.ended(30) == 130, run.said()
        assert house.book() == {"start low 1": 1}
    finally:
        house.end()


def test_agents_of_one_provider_wait_together(tmp_path: Path) -> None:
    """One is refused; another agent of the same provider is not even tried, and says why."""
    cells = {"low": {"agent": "limited"}, "late": {"agent": "other"}, "free": {}}
    house = build(tmp_path / "w", "300s", cells)  # type: ignore[arg-type]
    text = (house.root / "orchestr.toml").read_text()
    mine = text.replace("[agents.limited]", '[agents.limited]\nprovider = "acme"')
    table = text[text.index("[agents.limited]") : text.index("[limits]")]
    other = table.replace("agents.limited", "agents.other")
    other = other.replace("[agents.other]", '[agents.other]\nprovider = "acme"', 1)
    (house.root / "orchestr.toml").write_text(f"{mine}\n{other}")
    house.spec({**cells, "late": {"agent": "other", "depends_on": ["free"]}})
    house.script("low", REFUSED)
    try:
        run = house.spawn("run", FEATURE)
        wait_for(lambda: house.states().get("late") == "waiting", "the other agent's cell")
        assert house.states() == {"low": "waiting", "late": "waiting", "free": "done"}
        assert not [line for line in house.starts() if "late" in line]
        assert house.status()["late"]["reason"] == "usage limit of acme"
        assert "usage limit of acme, goes on in" in run.said()
        run.send_signal(signal.SIGINT)
        assert run.ended(30) == 130, run.said()
    finally:
        house.end()


def test_a_cell_in_the_queue_sees_the_pause_before_it_starts(tmp_path: Path) -> None:
    """One slot: the refused agent gives it back, and the next cell of it must not take it."""
    house = build(
        tmp_path / "w", "300s", {"low": {"agent": "limited"}, "late": {"agent": "limited"}}
    )
    house.script("low", "sleep 0.5\n" + REFUSED)
    house.script("late", "sleep 0.5\n" + REFUSED)
    try:
        run = house.spawn("run", FEATURE, "--jobs", "1")
        wait_for(lambda: any(line.startswith("start ") for line in house.starts()), "a start")
        # Before it, both cells wait for a slot; after it, for the end of the limit.
        wait_for(lambda: set(house.states().values()) == {"waiting"}, "both to wait")
        assert len([line for line in house.starts() if line.startswith("start ")]) == 1
        run.send_signal(signal.SIGINT)
        assert run.ended(30) == 130, run.said()
    finally:
        house.end()
