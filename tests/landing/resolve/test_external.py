"""A structural merge program is asked where ours refuse, and its answer is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.landing.resolve.conflict import FileConflict
from orchestr.landing.resolve.structure import resolve_structure

CONFLICT = FileConflict("a.rb", b"x\n", b"x\nours\n", b"x\ntheirs\n")

# Its command line is mergiraf's: merge OPTIONS BASE LEFT RIGHT, 0 when nothing conflicts.
PROGRAM = """#!/bin/sh
[ "$1 $2 $3 $4 $6 $7" = "merge --timeout 0 --output --path-name a.rb" ] || exit 9
[ "$(cat "$8" "$9" "${{10}}" | tr '\\n' ' ')" = "x x ours x theirs " ] || exit 8
{act}
"""


@pytest.mark.parametrize(
    ("act", "merged"),
    [
        ("printf 'x\\nours\\ntheirs\\n' > $5", b"x\nours\ntheirs\n"),
        ("printf 'x\\nours\\ntheirs\\n' > $5; exit 1", None),
        ("printf 'x\\nours\\n' > $5", None),
        ("printf 'x\\nours\\ntheirs\\nx\\n' > $5", None),
        ("printf '<<<<<<< a\\nx\\nours\\ntheirs\\n>>>>>>> b\\n' > $5", None),
        (":", None),
    ],
)
def test_what_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, merged: bytes | None
) -> None:
    program = tmp_path / "mergiraf"
    program.write_text(PROGRAM.format(act=act))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert resolve_structure(CONFLICT) == merged


def test_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert resolve_structure(CONFLICT) is None
