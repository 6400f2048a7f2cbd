"""Records of the version before are read, and say field by field what they said then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.compat.adapters import MAY_BE_PASSED_OVER, READERS, plain

RECORDS = Path(__file__).parent / "records"
EXAMPLES = sorted(path for path in RECORDS.glob("*/*") if path.is_dir())


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """Where ``new`` does not say what ``old`` said. Fields may be added, never lost or changed."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for name, value in old.items():
            here = f"{at}.{name}" if at else name
            if name in new:
                found += differences(value, new[name], here)
            else:
                found.append(f"{here}: was {value!r}, is gone")
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for n, (a, b) in pairs for line in differences(a, b, f"{at}[{n}]")]
    if type(old) is type(new) and old == new:
        return []
    return [] if _numbers(old, new) else [f"{at}: was {old!r}, is {new!r}"]


def _numbers(old: Any, new: Any) -> bool:
    """1 and 1.0 are the same in JSON; True and 1 are not."""
    return all(type(v) in (int, float) for v in (old, new)) and old == new


def test_there_are_examples_of_every_kind() -> None:
    assert {path.parent.name for path in EXAMPLES} == set(READERS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_it_says_what_it_said(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = example.parent.name
    told = json.loads(example.with_name(f"{example.name}.json").read_text(encoding="utf-8"))
    copy = shutil.copytree(example, tmp_path / "it")
    before = {p.relative_to(copy): p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    read = plain(READERS[kind](copy))
    if not (read is None and kind in MAY_BE_PASSED_OVER):
        assert differences(told, read) == []
    assert "warning" not in capsys.readouterr().err
    after = {p.relative_to(copy): p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    assert {path: after.get(path) for path in before} == before  # reading changes nothing
