"""`report FEATURE [-o FILE] [--open] [--json]`: one HTML file with everything about a feature.

The module is not called `report`, because that one turns errors into text.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestr.commands.base.options import flag_option, value_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import UsageError
from orchestr.run.conflicts import add_forecast
from orchestr.run.workspace import Session
from orchestr.views.terminal.output import print_stderr, write_output


class Report(PlainVerb):
    """Reads files and git only, so it may be asked beside a run, and of one that failed."""

    doc_purpose = "one HTML file about a feature: plan, times, cost, evidence, changes"
    doc_usage = "FEATURE"
    help_group = "view"
    only_reads = True
    examples = (
        ("report mlkem --open", "one HTML file, shown in the browser"),
        ("report mlkem -o mlkem.html", "to send it"),
        ("report mlkem --json", "the same as a proof packet, for programs"),
    )
    cmd_options = (
        value_option(
            "output",
            "where to write it (default: .orchestr/reports/FEATURE.html; -: stdout)",
            short="o",
        ),
        flag_option("open", "show it in the browser"),
        flag_option("json", "the proof packet, for programs; to stdout or FILE"),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Write the file and say where it is."""
        if len(args) != 1:
            known = ", ".join(session.specs.features) or "none"
            raise UsageError("`report` wants one feature", hint=f"features: {known}")
        from orchestr.views.html.page import report_html
        from orchestr.views.query.report import FeaturePageBuilder

        name = session.parse_target(args[0]).feature
        page = FeaturePageBuilder().build_page(session.load_run(name))
        (status,) = add_forecast(session, [page.status])
        page = replace(page, status=status)
        if params["json"]:
            from orchestr.views.html.proof_packet import packet_json

            text = json.dumps(packet_json(page), indent=2) + "\n"
            params["output"] = params["output"] or "-"
        else:
            text = report_html(page)
        data = text.encode("utf-8", "replace")
        if params["output"] == "-":
            sys.stdout.buffer.write(data)
            return 0
        default = session.layout.state / "reports" / f"{name}.html"
        path = Path(params["output"]) if params["output"] else default
        if path.is_dir():
            path = path / f"{name}.{'json' if params['json'] else 'html'}"
        write_output(path, data)
        sys.stdout.write(f"{path}\n")
        if params["open"]:
            open_browser(path.resolve().as_uri())
        return 0


def open_browser(address: str) -> None:
    """Show a page; without a browser its address is all there is."""
    import webbrowser

    if not webbrowser.open(address):
        print_stderr(f"no browser could be started; the address is {address}")
