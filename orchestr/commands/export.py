"""`export FEATURE --format chrome-trace|csv|otel [-o FILE]`: the timeline for other programs."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestr.commands.base.options import value_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import UsageError
from orchestr.run.workspace import Session
from orchestr.views.terminal.output import write_output, write_stdout_safely


class Export(PlainVerb):
    """Spans of runs, cells, phases, attempts and waits, from the journal alone."""

    doc_purpose = "the timeline as a Chrome trace, CSV or OpenTelemetry spans"
    doc_usage = "FEATURE"
    help_group = "view"
    only_reads = True
    examples = (
        ("export mlkem -o trace.json", "for chrome://tracing, Perfetto, speedscope"),
        ("export mlkem --format csv", "for a spreadsheet"),
    )
    cmd_options = (
        value_option("format", "chrome-trace, csv or otel (OTLP as JSON)", default="chrome-trace"),
        value_option("output", "where to write it (default: stdout)", short="o"),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Write the timeline of one feature."""
        from orchestr.process.lease import read_lease
        from orchestr.process.redaction import redact, secret_values
        from orchestr.state.timeline import make_timeline
        from orchestr.views.export import ExportFormat, export_text

        if len(args) != 1:
            known = ", ".join(session.specs.features) or "none"
            raise UsageError("`export` wants one feature", hint=f"features: {known}")
        if params["format"] not in list(ExportFormat):
            raise UsageError(
                f"there is no format {params['format']!r}",
                hint=f"formats: {', '.join(ExportFormat)}",
            )
        name = session.parse_target(args[0]).feature
        run = session.load_run(name)
        upstreams = {p.name: p.upstreams for p in run.plan.cells}
        live = read_lease(session.layout.lease_file(name)) is not None
        line = make_timeline(run.journal.read(), upstreams, live=live)
        secrets = secret_values(os.environ)
        told = (replace(s, note=redact(s.note, secrets)) if s.note else s for s in line.spans)
        line = replace(line, spans=tuple(told))
        text = export_text(line, name, ExportFormat(params["format"]), time.time())
        if not params["output"]:
            write_stdout_safely(text)
            return 0
        path = Path(params["output"])
        write_output(path, text.encode("utf-8", "replace"))
        write_stdout_safely(f"{path}\n")
        return 0
