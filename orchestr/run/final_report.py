"""The final report of a run: `<state>/reports/runs/<run id>/report.{md,json,html}`, kept.

For the end of `run`, `land`, `rollback` and `follow`, while their leases are held. A report is a
courtesy: what goes wrong with it is one warning, never the exit code. The renderers are imported
only when there is something to report, so a run with nothing to do stays as fast as it was.

A `run` notes its begin in the journal. What else reports has `begun.json` in its folder from
`begin_report` on: after a kill `orchestr runs` shows by it that something was interrupted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestr.cell.context import FeatureRun
from orchestr.errors import ExitCode, OrchestrError
from orchestr.files import display_path, encode_json, write_atomic
from orchestr.run.goals import FeatureGoals
from orchestr.run.notify import Notifier
from orchestr.run.start import typed_command
from orchestr.state.event_details import RunFinished, RunStarted
from orchestr.state.events import Event
from orchestr.state.journal import utc_timestamp
from orchestr.state.layout import WorkspaceLayout
from orchestr.state.run_activity import is_idle
from orchestr.views.terminal.output import print_stderr

BEGUN = "begun.json"
REPORT_MD, REPORT_JSON, REPORT_HTML = "report.md", "report.json", "report.html"


@dataclass(slots=True)
class Ending:
    """How what is reported ended, for `report_at_end`: its exit code; of a landing, by
    FEATURE/CELL, why something did not land and what to do."""

    code: int = int(ExitCode.DONE)
    left: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@contextmanager
def report_at_end(
    runs: Sequence[FeatureRun], verb: str, notifier: Notifier | None = None
) -> Iterator[Ending]:
    """Around a landing, a rollback or a follow whose runs have their id and leases: its report.

    The body sets ``code``; an exception leaves its own exit code in the report, and goes on.
    """
    end = Ending()
    begin_report(runs, verb)
    try:
        yield end
    except KeyboardInterrupt:
        end.code = int(ExitCode.INTERRUPTED)
        raise
    except OrchestrError as error:
        end.code = int(error.exit_code)
        raise
    except BaseException:
        end.code = int(ExitCode.FAULT)
        raise
    finally:
        folder = write_final_report(runs, verb, end.code, left=end.left)
        announce_report(folder, runs, notifier)


def report_run(
    goals: Sequence[FeatureGoals],
    code: int,
    happened: Sequence[Event] | None,
    notifier: Notifier,
    *,
    quiet: bool = False,
    left: Mapping[str, tuple[str, str]] | None = None,
) -> None:
    """The report at the end of a `run`; ``happened``: its events, None when it did something.

    A run with nothing to do has none, and pays for nothing here.
    """
    if code == ExitCode.DONE and happened is not None and is_idle(happened):
        return
    runs = [goal.run for goal in goals]
    selected = {goal.run.feature.name: goal.cells for goal in goals}
    folder = write_final_report(runs, "run", code, selected=selected, left=left)
    announce_report(folder, runs, notifier, quiet=quiet)


def announce_report(
    folder: Path | None,
    runs: Sequence[FeatureRun],
    notifier: Notifier | None,
    *,
    quiet: bool = False,
) -> None:
    """Say where the report is, on stderr and in the messages of `[notify]`."""
    if folder is None:
        return
    if notifier is not None:
        notifier.add_report(folder / REPORT_HTML)
    if not quiet:
        print_stderr(f"report: {display_path(folder / REPORT_HTML, runs[0].layout.root)}")


def begin_report(runs: Sequence[FeatureRun], verb: str) -> None:
    """Note the begin of a landing, a rollback or a follow, whose runs have their id. Idempotent."""
    folder = runs[0].layout.run_report_dir(runs[0].id)
    values = {
        "v": 1,
        "run": runs[0].id,
        "verb": verb,
        "command": typed_command(),
        "started_at": utc_timestamp(),
        "pid": os.getpid(),
        "features": [run.feature.name for run in runs],
    }
    with suppress(OSError):
        if not (folder / BEGUN).exists():
            write_atomic(folder / BEGUN, encode_json(values), durable=False)


def write_final_report(
    runs: Sequence[FeatureRun],
    verb: str,
    code: int,
    *,
    selected: Mapping[str, Sequence[str]] | None = None,
    left: Mapping[str, tuple[str, str]] | None = None,
) -> Path | None:
    """Write the report of the runs, which share their id, and return its folder.

    ``verb`` is run, land, rollback or follow, ``code`` the exit code. ``selected``: by feature the
    cells that it was about (a feature that is missing: all), ``left``: see `Ending`. None where
    nothing happened, where there is a report already, and where it could not be written, which is
    a warning.
    """
    layout, run_id = runs[0].layout, runs[0].id
    folder = layout.run_report_dir(run_id)
    try:
        if not run_id or (folder / REPORT_JSON).exists():
            return None
        return _write_report(runs, folder, verb, code, selected or {}, left or {})
    except Exception as error:  # whatever it is: the run is worth more than its report
        text = str(error).splitlines()[:1]
        why = f"{type(error).__name__}: {text[0] if text else ''}"
        print_stderr(f"warning: no report of run {run_id}: {why}")
        return None


def _write_report(
    runs: Sequence[FeatureRun],
    folder: Path,
    verb: str,
    code: int,
    selected: Mapping[str, Sequence[str]],
    left: Mapping[str, tuple[str, str]],
) -> Path | None:
    from orchestr.registry import substitute_program_name
    from orchestr.views.html.run_page import run_report_html
    from orchestr.views.query.run_report import RunFrame, build_run_report
    from orchestr.views.run_report.json_form import report_values
    from orchestr.views.run_report.markdown import report_markdown

    run_id = runs[0].id
    by_run = [(run, [e for e in run.journal.read() if e.run == run_id]) for run in runs]
    mine = [event for _, events in by_run for event in events]
    # A look that found nothing new is made every minute; the need of a person was reported before.
    if is_idle(mine) and (code == ExitCode.DONE or verb == "follow"):
        forget_begin(runs[0].layout, run_id)
        return None
    runs = [run for run, events in by_run if events or verb != "follow"]
    begun = _read_begin(folder)
    starts = [e.ts for e in mine if isinstance(e.details, RunStarted)]
    ends = [e.ts for e in mine if isinstance(e.details, RunFinished)]
    first = begun.get("started_at") or min(starts or [e.ts for e in mine], default=utc_timestamp())
    frame = RunFrame(
        run=run_id,
        verb=verb,
        command=typed_command(),
        started_at=str(first),
        finished_at=max(ends, default=utc_timestamp()),
        exit=int(code),
        selected=selected,
        left=left,
    )
    report = build_run_report(runs, frame)
    text = substitute_program_name(report_markdown(report))
    write_atomic(folder / REPORT_MD, text.encode("utf-8", "replace"), durable=False)
    page = run_report_html(report)
    write_atomic(folder / REPORT_HTML, page.encode("utf-8", "replace"), durable=False)
    # The last one: who finds it finds all three.
    values = json.dumps(report_values(report), indent=1, ensure_ascii=False) + "\n"
    write_atomic(folder / REPORT_JSON, values.encode("utf-8", "replace"), durable=False)
    return folder


def _read_begin(folder: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        value = json.loads((folder / BEGUN).read_bytes())
        if isinstance(value, dict):
            return value
    return {}


def forget_begin(layout: WorkspaceLayout, run_id: str) -> None:
    """Take back the note of `begin_report`: nothing happened after it."""
    folder = layout.run_report_dir(run_id)
    with suppress(OSError):
        (folder / BEGUN).unlink(missing_ok=True)
        folder.rmdir()
