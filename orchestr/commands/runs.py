"""`runs [FEATURE | RUN]`: the runs of a workspace, their reports, and what they left to do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from orchestr.commands.base.options import JSON, flag_option, value_option
from orchestr.commands.base.run_choice import find_run
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import UsageError
from orchestr.files import display_path
from orchestr.run.workspace import Session
from orchestr.spec.goal_names import FEATURE_PREFIX
from orchestr.views.run_report.listing import RunRow
from orchestr.views.terminal.output import terminal_columns, write_stdout, write_stdout_safely

SHOWN = 20


class Runs(PlainVerb):
    """Reads files only. A word is a feature where there is one of that name, else a run."""

    doc_purpose = "what runs and landings came to, and what they left to do"
    doc_usage = "[FEATURE | RUN]"
    help_group = "view"
    only_reads = True
    examples = (
        ("runs", "the newest runs, landings and rollbacks"),
        ("runs 20261121T165447Z-e934", "the report of one; its last digits are enough"),
        ("runs mlkem --open", "the newest report of a feature in the browser"),
        ("runs --follow-ups mlkem", "what is left to do, as a spec"),
    )
    cmd_options = (
        value_option("number", f"how many runs (default: {SHOWN}; 0: all)", short="n", type_=int),
        flag_option("follow_ups", "what is left to do, as YAML with a `todo` for each cell"),
        flag_option("open", "show the report in the browser"),
        JSON,
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Print what was asked for. Raises UsageError for an unknown name."""
        if len(args) > 1:
            raise UsageError("`runs` wants one feature or one run", hint="orchestr runs")
        word = args[0].removeprefix(FEATURE_PREFIX) if args else ""
        known = list(session.specs.features)
        if params["follow_ups"]:
            return print_follow_ups(session, [word] if word else known)
        if params["number"] is not None and params["number"] < 0:
            raise UsageError("-n wants a number from 0 up")
        from orchestr.views.query.run_list import list_runs

        is_feature = word in known
        features = [word] if is_feature else known
        if word and not is_feature:
            row = find_run(list_runs(session.layout, known), word, known)
            return show_run(row, as_json=params["json"], browser=params["open"])
        most = SHOWN if params["number"] is None else params["number"] or None
        if params["open"]:
            reported = [row for row in list_runs(session.layout, features) if row.report]
            if not reported:
                raise UsageError("there is no report yet", hint="orchestr runs")
            return show_run(reported[0], as_json=False, browser=True)
        print_rows(session, list_runs(session.layout, features, most), as_json=params["json"])
        return 0


def print_rows(session: Session, rows: list[RunRow], *, as_json: bool) -> None:
    """The list, and how to see more of a run."""
    from orchestr.views.run_report.listing import row_values, runs_text

    if as_json:
        values = {"runs": [row_values(row) for row in rows]}
        write_stdout_safely(json.dumps(values, ensure_ascii=False) + "\n")
        return
    import os

    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    write_stdout(runs_text(rows, columns=terminal_columns(), colour=colour))
    newest = next((row for row in rows if row.report), None)
    if newest is not None:
        shown = display_path(session.layout.run_reports_dir, session.layout.root)
        write_stdout(f"\nreports: {shown}/RUN/report.html\nnext: orchestr runs {newest.run}\n")


def show_run(row: RunRow, *, as_json: bool, browser: bool) -> int:
    """The report of a run as it was written; without one, what the journal says."""
    from orchestr.views.run_report.listing import row_text, row_values

    folder = Path(row.report) if row.report else None
    if browser and folder is not None:
        from orchestr.commands.report import open_browser

        page = folder / "report.html"
        write_stdout_safely(f"{page}\n")
        open_browser(page.resolve().as_uri())
        return 0
    if folder is None:
        text = f"{json.dumps(row_values(row))}\n" if as_json else row_text(row)
        write_stdout(text)
        if not as_json:
            write_stdout(f"next: orchestr status {' '.join(row.features)}\n")
        return 0
    try:
        data = (folder / ("report.json" if as_json else "report.md")).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"the report of {row.run} cannot be read: {error.strerror}", hint="orchestr runs"
        ) from error
    from orchestr.views.terminal.text import printable_line

    shown = data if as_json else "".join(f"{printable_line(x)}\n" for x in data.splitlines())
    write_stdout_safely(shown)
    return 0


def print_follow_ups(session: Session, features: list[str]) -> int:
    """What the features leave to do now, as one spec. Raises UsageError for an unknown name."""
    from orchestr.views.query.follow_ups import list_follow_ups
    from orchestr.views.query.report import make_redactor
    from orchestr.views.query.run_report import redact_follow_ups
    from orchestr.views.query.status import feature_status
    from orchestr.views.run_report.follow_ups import follow_ups_yaml

    found = []
    for name in features:
        run = session.load_run(session.parse_target(name).feature)
        hide = make_redactor([run.cell_context(plan.name) for plan in run.plan.cells])
        items = list_follow_ups(run, feature_status(run))
        found += [(name, item) for item in redact_follow_ups(items, hide)]
    write_stdout_safely(follow_ups_yaml(found, features[0] if len(features) == 1 else ""))
    return 0
