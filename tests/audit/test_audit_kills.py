"""kill -9 at each step of an audit: the same command goes on, and pays for nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.audit.house import CELLS, CORE, audited, read_record
from tests.crash.house import FEATURE, House, both

pytestmark = pytest.mark.slow
PAID = ["core first", "audit by eve", "core 1", "audit by eve"]


def goes_on(house: House) -> None:
    """The same command until nothing is left to do; then what it took is counted."""
    done = house.run("run", FEATURE)
    assert done.returncode == 0, both(done)
    assert house.starts() == PAID, both(done)
    record = read_record(house)
    assert (record["verdict"], record["is_open"]) == ("passed", False)
    rounds = sorted((house.cell_dir(CORE) / "attempts/1/rounds").glob("*.toml"))
    assert [one.name for one in rounds] == ["1.toml"]
    assert house.pr(CORE)["head_sha"] == house.head(CORE, "lib")
    house.sound()


@pytest.mark.parametrize("at", [
    "start:after#2", "journal:after#review.done", "audit:after#1", "round:after#1",
    "audit:before#2", "audit:before#3",
])  # fmt: skip
def test_an_audit_is_killed(at: str, tmp_path: Path) -> None:
    house = audited(tmp_path / "w", cells={CORE: CELLS[CORE]})
    killed = house.crash(at, "run", FEATURE)
    assert killed.returncode == -9, both(killed)
    goes_on(house)


@pytest.mark.parametrize("at", ["journal:after#run.forced", "journal:after#cell.forgotten",
                                "audit:after#1"])  # fmt: skip
def test_a_forced_audit_is_killed(at: str, tmp_path: Path) -> None:
    work = {CORE: "echo hello > greeting.txt\n"}
    house = audited(tmp_path / "w", cells={CORE: CELLS[CORE]}, work=work)
    house.run("run", FEATURE, code=0)
    again = ("run", f"{FEATURE}:audit", "--force")
    killed = house.crash(at, *again)
    assert killed.returncode == -9, both(killed)
    house.run(*again, code=0)
    assert house.starts() == ["core first", "audit by eve", "audit by eve"]
    assert read_record(house)["verdict"] == "passed"
    house.sound()
