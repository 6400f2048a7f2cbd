"""Journals of the version before are replayed to the same views, and no line of them is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.compat.adapters import KINDS, plain, read_event, read_events, views_of
from tests.compat.archive import PLACE, unpack
from tests.compat.test_records import differences

JOURNALS = sorted((Path(__file__).parent / "journals").glob("*.jsonl"))
FIELDS = {"kind": "", "ts": "", "run": "", "feature": "", "cell": "", "phase": "", "attempt": 0,
          "data": {}}  # fmt: skip


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda p: p.stem)
def test_the_views_are_what_they_were(journal: Path) -> None:
    told = json.loads(journal.with_suffix(".view.json").read_text(encoding="utf-8"))
    read = plain(views_of(read_events(journal)))
    if journal.stem == "odd-types":  # nobody wrote that: only what is beside it counts
        told, read = ({name: view["view"]["cells"][name] for name in ("low", "high")}
                      for view in (told, read))  # fmt: skip
    assert differences(told, read) == []


def test_every_kind_of_then_is_there_and_known() -> None:
    path = Path(__file__).parent / "journals" / "every-kind.jsonl"
    then = {line["kind"] for line in lines_of(path)}
    assert len(then) == 44
    assert then <= set(KINDS)


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda p: p.stem)
def test_each_line_is_read_with_all_its_fields(journal: Path) -> None:
    if journal.stem in ("damaged", "odd-types"):
        return
    for line in journal.read_bytes().splitlines(keepends=True):
        try:
            told = json.loads(line)
        except ValueError:
            assert read_event(line) is None
            continue
        told.pop("v")
        assert differences({**FIELDS, **told}, read_event(line)) == [], line


def test_lines_that_count_for_nothing_are_passed_over() -> None:
    path = Path(__file__).parent / "journals" / "damaged.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    told = json.loads(path.with_suffix(".view.json").read_text(encoding="utf-8"))
    assert sum(read_event(line) is not None for line in lines) == told["events"] < len(lines)


def test_a_journal_of_ten_thousand_lines(tmp_path: Path) -> None:
    houses = Path(__file__).parent / "houses"
    unpack(houses / "house.tar.xz", tmp_path / "ws")
    read = views_of(read_events(tmp_path / "ws" / ".orchestr" / "journal" / "long.jsonl"))
    read["spans"] = len(read.pop("timeline")["spans"])
    told = (houses / "house.long.view.json").read_text(encoding="utf-8")
    told = told.replace(PLACE, str(tmp_path / "ws"))
    assert read["events"] > 10_000
    assert differences(json.loads(told), plain(read)) == []
