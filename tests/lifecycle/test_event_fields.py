"""The fields of the events: each is declared once, and what is emitted is declared."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import orchestr
from orchestr.state import event_details
from orchestr.state.events import Event, EventKind, undeclared_fields
from orchestr.state.journal import Journal, parse_event

ENVELOPE = {"phase", "attempt", "cell"}
EMITTERS = {"emit", "_emit_work_event"}
PACKAGE = Path(orchestr.__file__).parent
JOURNALS = Path(__file__).parent.parent / "compat" / "journals"
INVENTED = {"odd-types", "damaged", "every-kind"}  # they hold what no version ever wrote


def emit_calls() -> list[tuple[str, list[EventKind], list[str]]]:
    """Every call that emits: its place, the kinds it may have, the fields it names."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name not in EMITTERS:
                continue
            kinds = [
                EventKind[part.attr]
                for argument in node.args
                for part in ast.walk(argument)
                if isinstance(part, ast.Attribute) and part.attr in EventKind.__members__
            ]
            fields = [k.arg for k in node.keywords if k.arg and k.arg not in ENVELOPE]
            found.append((f"{path.relative_to(PACKAGE)}:{node.lineno}", kinds, fields))
    return found


def test_what_is_emitted_is_declared() -> None:
    calls = emit_calls()
    assert sum(bool(kinds) for _, kinds, _ in calls) > 40  # the search finds them
    wrong = [
        (place, str(kind), fields)
        for place, kinds, named in calls
        for kind in kinds
        if (fields := undeclared_fields(kind, named))
    ]
    assert wrong == []


def test_a_wrong_name_is_found() -> None:
    assert undeclared_fields(EventKind.PHASE_FAILED, ["reason", "reasn"]) == ["reasn"]


@pytest.mark.parametrize(
    "journal",
    [p for p in sorted(JOURNALS.glob("*.jsonl")) if p.stem not in INVENTED],
    ids=lambda p: p.stem,
)
def test_what_runs_have_written_is_declared(journal: Path) -> None:
    """This covers the emitters whose fields are not names in the source."""
    wrong = {
        (str(event.kind), *fields)
        for event in Journal(journal).read()
        if (fields := undeclared_fields(event.kind, event.data))
    }
    assert wrong == set()


def test_every_kind_has_a_class_of_its_own() -> None:
    found = {kind: type(Event(kind, "").details) for kind in EventKind}
    assert len(set(found.values())) == len(EventKind)
    for one in found.values():
        # A reader matches on the class: a subclass would be taken for its parent.
        assert not one.__subclasses__(), one
        assert one.__struct_config__.tag in {str(kind) for kind in EventKind}


def test_a_newer_version_is_read_and_kept() -> None:
    line = {
        "v": 2,
        "ts": "2026-01-01T00:00:00+00:00",
        "kind": "phase.failed",
        "cell": "low",
        "data": {"reason": "red", "seconds": "long", "colour": {"of": "night"}},
    }
    event = parse_event(json.dumps(line).encode())
    assert event is not None
    assert event.details == event_details.PhaseFailed(reason="red")
    assert event.data == line["data"]


def test_an_unknown_kind_is_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "demo.jsonl")
    journal.append(Event(EventKind.RUN_STARTED, "2026-01-01T00:00:00+00:00", "r1"))
    with journal.path.open("a") as stream:
        stream.write('{"v":2,"ts":"2026-01-01T00:00:01+00:00","kind":"cell.dreamt"}\n')
    journal.append(Event(EventKind.RUN_FINISHED, "2026-01-01T00:00:02+00:00", "r1"))
    assert [e.kind for e in journal.read()] == [EventKind.RUN_STARTED, EventKind.RUN_FINISHED]
    assert "cell.dreamt" in journal.path.read_text()


@pytest.mark.parametrize("value", [None, "", float("nan"), float("inf"), True, [1], {"a": 1}, "x"])
def test_an_odd_number_is_missing(value: object) -> None:
    event = Event(EventKind.ATTEMPT_EXITED, "", data={"seconds": value, "reason": "exited"})
    assert event.details == event_details.AttemptExited(reason="exited")
