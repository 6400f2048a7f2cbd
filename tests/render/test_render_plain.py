"""Plain lines and JSON lines: one short line an event, and no fuss about closed pipes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import TextIO

import pytest
from render_stories import FAILING, MIDDLE, PLAN, STARTED, event, whole

from orchestr.plan.dag import make_plan
from orchestr.spec.records import Cell, Feature
from orchestr.state.events import Event, EventKind
from orchestr.views.live.choose import make_progress
from orchestr.views.live.plain import PlainProgress, event_lines
from orchestr.views.live.progress import CellLabels, JsonProgress, LineWriter

LABELS = CellLabels([PLAN])


def plain(events: Sequence[Event]) -> list[str]:
    stream = io.StringIO()
    with PlainProgress([PLAN], stream, log=lambda f, c: f"cells/{f}/{c}.jsonl") as progress:
        for one in events:
            progress.show_event(one)
    return stream.getvalue().splitlines()


def test_a_cell_that_went_well() -> None:
    assert plain([STARTED, *whole("platform-proto")]) == [
        "12:00:00 run r1 started (pid 7): feature:mlkem",
        "12:00:00 platform-proto    implement  attempt 1 started (scripted)",
        "12:00:42 platform-proto    implement  done in 42.0 s",
        "12:00:00 platform-proto    publish    pull request "
        "https://github.com/opentdf/platform/pull/101",
    ]


def test_a_failure_names_the_reason_the_hint_and_the_log() -> None:
    assert plain(FAILING)[1:] == [
        "12:00:00 java-sdk          implement  attempt 2 ended: exit 2 (after 9.0 s)",
        "12:01:09 java-sdk          implement  FAILED: exit code 2 (after 9.0 s)",
        "12:01:09 java-sdk          implement  hint: orchestr logs mlkem:java-sdk",
        "12:01:09 java-sdk          implement  log: cells/mlkem/java-sdk.jsonl",
        "12:00:00 xtest                        skipped: upstream java-sdk failed",
    ]


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_of_event_can_be_told_without_data(kind: EventKind) -> None:
    for line in event_lines(event(kind, "java-sdk", "check"), LABELS):
        assert "None" not in line
        assert "\n" not in line


def test_a_hostile_reason_stays_on_its_line() -> None:
    bad = event(
        EventKind.PHASE_FAILED, "java-sdk", "check", reason="\x1b[2Jgone\x07\nmore\x1b]0;t\x07"
    )
    assert event_lines(bad, LABELS)[0].endswith("FAILED: gone")


def test_cells_of_several_features_carry_their_features_name() -> None:
    other = make_plan(Feature("other", "o", "", (Cell("a", "r", "b"),)))
    labels = CellLabels([PLAN, other])
    assert labels("other", "a") == "other:a"
    assert labels.width == len("mlkem:platform-service")


def test_json_is_one_object_a_line() -> None:
    out = io.StringIO()
    progress = make_progress(PLAN, io.StringIO(), json=True, out=out)
    assert isinstance(progress, JsonProgress)
    progress.show_event(whole("java-sdk")[4])
    assert json.loads(out.getvalue()) == {
        "v": 1,
        "ts": "2026-05-18T12:00:00+00:00",
        "kind": "attempt.started",
        "run": "r1",
        "feature": "mlkem",
        "cell": "java-sdk",
        "phase": "implement",
        "attempt": 1,
        "data": {"agent": "scripted"},
    }


def test_a_stream_that_is_no_terminal_gets_plain_lines() -> None:
    assert isinstance(make_progress(PLAN, io.StringIO()), PlainProgress)


def test_a_dumb_terminal_gets_plain_lines() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for environ in ({"TERM": "dumb"}, {}):
        assert isinstance(make_progress(PLAN, Terminal(), environ=environ), PlainProgress)


def test_a_closed_pipe_silences_the_lines_and_nothing_else() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream: TextIO = os.fdopen(writer, "w")
    progress = PlainProgress([PLAN], stream)
    for one in MIDDLE * 3:
        progress.show_event(one)
    progress.close()
    try:
        stream.close()
    except BrokenPipeError:
        pass


def test_an_old_encoding_replaces_what_it_lacks() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    LineWriter(stream).write(["✓ 日本"])
    assert raw.getvalue() == b"? ??\n"


def test_plain_status_and_plan_do_not_import_rich() -> None:
    names = (
        "live.plain live.progress terminal.plan terminal.status terminal.summary terminal.explain"
    )
    names += " terminal.summary terminal.explain"
    code = "import sys\n" + "".join(f"import orchestr.views.{n}\n" for n in names.split())
    code += "sys.exit('rich' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
