"""Files of ours that hold rubbish: a clear message or silent healing, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    """The same command, at most three times: exit 1 with words, or 0 in the end."""
    for _ in range(3):
        done = house.run("run", FEATURE)
        assert "Traceback" not in both(done), (what, both(done))
        assert done.returncode in (0, 1), (what, both(done))
        if done.returncode == 0:
            return
        assert "hint" in both(done) or "try" in both(done), (what, both(done))
    raise AssertionError(f"{what}: {both(done)}")


@pytest.mark.parametrize("verb", ["run", "status"])
def test_rubbish_in_any_result_file(verb: str, tmp_path: Path) -> None:
    def act(house: House, kind: str) -> None:
        house.run("run", FEATURE, code=0)
        trees = house.trees()
        files = [house.cell_dir("low") / name for name in CELL_FILES]
        files += [house.cell_dir("low") / "attempts" / "1" / "attempt.toml",
                  house.cell_dir("low").parent / "links.toml",
                  house.root / ".orchestr" / "registry.json",
                  house.root / ".orchestr" / "locks" / "pause-sh.json",
                  house.root / ".orchestr" / "locks" / "feature-demo.lock",
                  house.root / ".doit.db"]  # fmt: skip
        for path in files:
            what = f"{verb} with {path.name}: {kind}"
            path.write_bytes(RUBBISH[kind])
            if verb == "status":
                for words in (["status"], ["plan", FEATURE], ["list", "--all"], ["list", "-s"],
                              ["explain", f"{FEATURE}:low"], ["doctor"]):  # fmt: skip
                    seen = house.run(*words)
                    assert seen.returncode != 3, (what, words, both(seen))
                    assert "Traceback" not in both(seen), (what, words, both(seen))
            heals(house, what)
            assert house.trees() == trees, what
            assert len(house.prs()) == len(TWO), what
            assert set(house.states().values()) == {"done"}, what
        house.sound()

    at_each(list(RUBBISH) if verb == "run" else ["garbage", "other"], tmp_path, act)


def test_rubbish_is_kept(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w")
    house.run("run", FEATURE, code=0)
    for name in ("implement.toml", "checks.json", "head.toml", "publish.toml"):
        path = house.cell_dir("low") / name
        for content in (RUBBISH["garbage"], b""):
            path.write_bytes(content)
            heals(house, name)
            kept = sorted(path.parent.glob(f"{name}.corrupt-*"))
            assert kept, name
            assert kept[-1].read_bytes() == content
            for one in kept:
                one.unlink()


@pytest.mark.parametrize("rubbish", [b'{"v":1,"ts":"2024', b"\x00" * 300 + b"\n", b"[" * 9000,
                                     b'{"kind":"phase.done","ts":7,"data":3,"cell":[]}\n',
                                     b"\xff\xfe rubbish\n\n[]\n7\n"],
                         ids=["torn", "nul", "deep", "types", "lines"])  # fmt: skip
def test_rubbish_in_the_journal_is_passed_over(rubbish: bytes, tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", {"low": {}})
    house.run("run", FEATURE, code=0)
    path = house.root / ".orchestr" / "journal" / f"{FEATURE}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:9]) + rubbish + b"\n" + b"".join(lines[9:]) + rubbish)
    for words in (["status"], ["plan", FEATURE], ["explain", f"{FEATURE}:low"], ["doctor"],
                  ["logs", f"{FEATURE}:low"]):  # fmt: skip
        seen = house.run(*words, code=0)
        assert "Traceback" not in both(seen)
    house.run("run", FEATURE, code=0)
    house.run("run", FEATURE, "--force", code=0)
    assert house.book()["end low 2"] == 1
    assert house.states() == {"low": "done"}


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
        agents = [p for p in house.processes() if "agent.sh" in " ".join(p.cmdline())]
        assert len(agents) <= 1, [p.cmdline() for p in agents]
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
