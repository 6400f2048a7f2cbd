"""The audit from outside: red, repaired at its cause in another cell, certified, refused."""

from __future__ import annotations

import json
from pathlib import Path

from tests.audit.house import CORE, CROSS, SITE, audited, read_record
from tests.crash.house import FEATURE, both


def test_a_red_audit_is_repaired_at_its_cause_in_another_cell(tmp_path: Path) -> None:
    house = audited(tmp_path / "w", cross_checks=[CROSS])
    done = house.run("run", FEATURE, code=0)
    print(both(done))
    print(house.starts())
    assert 0
