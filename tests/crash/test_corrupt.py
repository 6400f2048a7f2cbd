"""Files of ours that hold rubbish: a clear message or silent healing, never a traceback."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from orchestr.state.journal import parse_event
from tests.crash.house import FEATURE, TWO, House, at_each, both, wait_for

pytestmark = pytest.mark.slow
CELL_FILES = ("worktree.toml", "implement.toml", "checks.json", "review.json", "head.toml", "tree",
              "publish.toml", "pr-url")  # fmt: skip
RUBBISH = {
    "garbage": b"\x00\xffnot = [a file\n",
    "empty": b"",
    "other": b'[1, "two"]\n',
    "fields": b'schema = 1\nhead = 7\nkey = []\noutcome = "nonsense"\nnumber = "x"\nstate = 3\n',
}


def heals(house: House, what: str) -> None:
    """The same command a few times: exit 1 with words, or 0 in the end."""
    for _ in range(4):
        done = house.run("run", FEATURE)
        assert "Traceback" not in both(done), (what, both(done))
        assert done.returncode in (0, 1), (what, both(done))
        if done.returncode == 0:
            return
        assert "hint" in both(done) or "next:" in both(done), (what, both(done))
    raise AssertionError(f"{what}: {both(done)}")


def files_of(house: House) -> list[Path]:
    """Every file of ours that a run of cell `low` reads."""
    cell, state = house.cell_dir("low"), house.root / ".orchestr"
    return [
        *(cell / name for name in CELL_FILES),
        cell / "attempts" / "1" / "attempt.toml",
        cell.parent / "links.toml",
        state / "locks" / "pause-sh.json",
        state / "locks" / f"feature-{FEATURE}.lock",
        house.root / ".doit.db",
    ]


def test_rubbish_in_one_file_after_the_other(tmp_path: Path) -> None:
    def act(house: House, shift: str) -> None:
        house.run("run", FEATURE, code=0)
        trees = house.trees()
        for number, path in enumerate(files_of(house), start=int(shift)):
            kind = list(RUBBISH)[number % len(RUBBISH)]
            what = f"{path.name}: {kind}"
            path.write_bytes(RUBBISH[kind])
            heals(house, what)
            house.states()  # reads what a run that has nothing to do does not look at
            heals(house, what)
            assert house.trees() == trees, what
            assert len(house.prs()) == len(TWO), what
        assert set(house.states().values()) == {"done"}
        house.sound()

    at_each(["0", "1"], tmp_path, act)


def test_rubbish_in_all_files_at_once(tmp_path: Path) -> None:
    def act(house: House, kind: str) -> None:
        house.run("run", FEATURE, code=0)
        trees = house.trees()
        for words in (["status"], ["plan", FEATURE], ["list", "--all"], ["list", "-s"],
                      ["explain", f"{FEATURE}:low"], ["doctor"], ["run", FEATURE]):  # fmt: skip
            for path in files_of(house):
                path.write_bytes(RUBBISH[kind])
            seen = house.run(*words)
            assert seen.returncode != 3, (words, both(seen))
            assert "Traceback" not in both(seen), (words, both(seen))
        heals(house, kind)
        house.states()
        heals(house, kind)
        assert house.trees() == trees
        assert len(house.prs()) == len(TWO)
        assert set(house.states().values()) == {"done"}

    at_each(list(RUBBISH), tmp_path, act)


def test_a_registry_that_cannot_be_read_says_how_it_is_made_again(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w")
    house.run("run", FEATURE, code=0)
    (house.root / ".orchestr" / "registry.json").write_bytes(RUBBISH["garbage"])
    failed = house.run("run", FEATURE, "--force", code=1)
    assert "orchestr doctor --fix" in both(failed)
    house.run("doctor", "--fix")
    house.run("run", FEATURE, code=0)
    assert len(house.prs()) == len(TWO)
    assert list((house.root / ".orchestr").glob("registry.json.corrupt-*"))
    house.sound()


def test_rubbish_is_kept(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w")
    house.run("run", FEATURE, code=0)
    for name in ("implement.toml", "checks.json", "head.toml", "publish.toml"):
        path = house.cell_dir("low") / name
        for content in (RUBBISH["garbage"], b""):
            path.write_bytes(content)
            house.run("status")
            heals(house, name)
            kept = sorted(path.parent.glob(f"{name}.corrupt-*"))
            assert kept, name
            assert kept[-1].read_bytes() == content
            for one in kept:
                one.unlink()
    assert set(house.states().values()) == {"done"}


@pytest.mark.parametrize(
    ("rubbish", "told"),
    [
        pytest.param(b'{"v":1,"ts":"2024', "", id="torn"),  # a kill leaves such a line
        pytest.param(b"\x00" * 300 + b"\n", "lines 10, ", id="nul"),
        pytest.param(b"[" * 9000, "line 10 cannot", id="deep"),
        pytest.param(b'{"kind":"phase.done","ts":7,"data":3,"cell":[]}\n', "", id="types"),
        pytest.param(b"\xff\xfe rubbish\n\n[]\n7\n", "lines 10, 12, 13, ", id="lines"),
    ],
)
def test_rubbish_in_the_journal_is_passed_over(rubbish: bytes, told: str, tmp_path: Path) -> None:
    """Doctor names the lines."""
    house = House.build(tmp_path / "w", {"low": {}})
    house.run("run", FEATURE, code=0)
    path = house.root / ".orchestr" / "journal" / f"{FEATURE}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:9]) + rubbish + b"\n" + b"".join(lines[9:]) + rubbish)
    for words in (["status"], ["plan", FEATURE], ["explain", f"{FEATURE}:low"], ["doctor"],
                  ["logs", f"{FEATURE}:low"]):  # fmt: skip
        seen = house.run(*words, code=0)
        assert "Traceback" not in both(seen)
    doctor = both(house.run("doctor", code=0))
    assert told in doctor and ("nothing is wrong" in doctor) == (not told)
    house.run("run", FEATURE, code=0)
    house.run("run", FEATURE, "--force", code=0)
    assert house.book()["end low 2"] == 1
    assert house.states() == {"low": "done"}
    whole = [event for line in path.read_bytes().splitlines() if (event := parse_event(line))]
    assert sum(event.kind == "run.started" for event in whole) == 3  # none joined a torn line


def at_work(house: House) -> set[int]:
    """Agents, without the children that they are just forking."""
    found: dict[int, int] = {}
    for process in house.processes():
        with suppress(psutil.Error):
            if "agent.sh" in " ".join(process.cmdline()):
                found[process.pid] = process.ppid()
    return {pid for pid, parent in found.items() if parent not in found}


@pytest.mark.parametrize("name", ["launch.json", "supervisor.json", "attempt.toml"])
def test_rubbish_while_an_agent_works_without_a_run(name: str, tmp_path: Path) -> None:
    """Never two agents in one worktree, and nothing left alive."""

    def act(house: House, kind: str) -> None:
        house.close("low")
        run = house.spawn("run", FEATURE)
        house.working("low")
        run.kill()
        run.wait()
        (house.cell_dir("low") / "attempts" / "1" / name).write_bytes(RUBBISH[kind])
        second = house.spawn("run", FEATURE)
        wait_for(lambda: len(house.journal(kind="run.started")) == 2, "the second run")
        wait_for(
            lambda: house.journal(kind="attempt.adopted") or house.book()["start low 2"]
            or second.poll() is not None,
            "what it does",
        )  # fmt: skip
        assert len(at_work(house)) <= 1
        house.open("low")
        assert second.ended() in (0, 1), second.said()
        assert "Traceback" not in second.said()
        heals(house, f"{name}: {kind}")
        house.sound()

    at_each(["garbage", "empty"], tmp_path, act, settings={"limits": {"grace": "0.3s"}})


@pytest.mark.parametrize("kind", ["garbage", "empty"])
def test_rubbish_in_exit_json(kind: str, tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", {"low": {}})
    assert house.crash("journal:before#attempt.exited", "run", FEATURE).returncode == -9
    (house.cell_dir("low") / "attempts" / "1" / "exit.json").write_bytes(RUBBISH[kind])
    heals(house, "exit.json")
    assert len(house.prs()) == 1
    house.sound()
