"""An error names its cell in a field; the journal has the reason, the command line both."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.cell.context import CellContext
from orchestr.cell.phases import publish
from orchestr.cell.phases.run_phase import PhaseResult, run_phase
from orchestr.errors import DiskFull, OrchestrError, PhaseFailed, as_disk_full
from orchestr.spec.phases import Phase
from orchestr.state.events import EventKind
from tests.cell.contexts import BARE


def journalled_reasons(ctx: CellContext) -> list[tuple[str, str]]:
    failed = [e for e in ctx.run.journal.read() if e.kind is EventKind.PHASE_FAILED]
    return [(e.cell, e.data["reason"]) for e in failed]


def test_the_message_names_the_cell_and_the_reason_does_not() -> None:
    error = PhaseFailed("it is red", hint="mend it", cell="f:api")
    assert (error.reason, error.cell, error.hint) == ("it is red", "f:api", "mend it")
    assert error.message == str(error) == "cell f:api: it is red"
    assert OrchestrError("no such verb").message == "no such verb"


@pytest.mark.parametrize(
    "said", ["git: No space left on device", "index.lock' write error. Out of diskspace"]
)
def test_a_full_disk_keeps_the_cell_of_the_error(said: str) -> None:
    full = as_disk_full(PhaseFailed(said, cell="f:api"))
    assert isinstance(full, DiskFull)
    assert (full.cell, full.reason) == ("f:api", said)


def test_the_journal_has_the_reason_without_the_cell(tmp_path: Path) -> None:
    ctx = BARE.context(tmp_path)
    with pytest.raises(PhaseFailed, match=r"^cell f:api: it has no head to publish$"):
        run_phase(ctx, Phase.PUBLISH)
    assert journalled_reasons(ctx) == [("api", "it has no head to publish")]


def test_the_journal_names_another_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(ctx: CellContext) -> PhaseResult:
        raise PhaseFailed("it is gone", cell="f:other")

    monkeypatch.setattr(publish, "run", fail)
    ctx = BARE.context(tmp_path)
    with pytest.raises(PhaseFailed):
        run_phase(ctx, Phase.PUBLISH)
    assert journalled_reasons(ctx) == [("api", "cell f:other: it is gone")]


def test_a_stop_is_journalled_without_the_cell(tmp_path: Path) -> None:
    ctx = BARE.context(tmp_path)
    ctx.run.stop.set()
    with pytest.raises(OrchestrError, match=r"^cell f:api: stopped$"):
        ctx.check_cancelled()
