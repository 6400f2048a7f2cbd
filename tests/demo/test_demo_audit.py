"""The demo from words to a certified feature: drafted, approved, built, red, repaired, audited."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.crash.house import House, both

pytestmark = pytest.mark.slow
TOP = Path(__file__).parents[2]
NAME = "sdk-version"


def test_a_red_audit_of_the_demo_is_repaired_at_its_cause(tmp_path: Path) -> None:
    root = tmp_path / "w"
    root.mkdir()
    shutil.copytree(TOP / "demo", root / "demo", ignore=shutil.ignore_patterns("repos", "*.pyc"))
    shutil.copy(TOP / "orchestr.toml", root)
    house = House(root)
    pause = {"DEMO_PAUSE": "0.01"}
    words = ("Every SDK says which version it is", "--answer=sdks=java and web")
    house.run("draft", NAME, *words, code=0, env=pause)
    house.run("approve", f"spec:{NAME}", "--yes", code=0, env=pause)
    done = house.run("run", NAME, code=0, env=pause)
    assert "audit: failed: 2 failed; repaired by java-sdk" in done.stderr, both(done)
    assert "✓ audit: passed: 2 passed" in done.stdout, both(done)
    record = json.loads((root / f".orchestr/cells/{NAME}/audit.json").read_text())
    assert (record["verdict"], record["is_open"]) == ("passed", False)
    assert [event["cell"] for event in house.journal(NAME, "repair.opened")] == ["java-sdk"]
    house.run("land", NAME, "--yes", code=0, env=pause)
    house.end()
