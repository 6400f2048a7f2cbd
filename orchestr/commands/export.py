"""`export FEATURE --format chrome-trace|csv|otel [-o FILE]`: the timeline for other programs."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestr.commands.base.options import value
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import UsageError
from orchestr.run.workspace import Session
from orchestr.views.terminal.output import answer, write_output


class Export(PlainVerb):
    """Spans of runs, cells, phases, attempts and waits, from the journal alone."""

    doc_purpose = "the timeline as a Chrome trace, CSV or OpenTelemetry spans"
    doc_usage = "FEATURE"
    cmd_options = (
        value("format", "chrome-trace, csv or otel (OTLP as JSON)", default="chrome-trace"),
        value("output", "where to write it (default: stdout)", short="o"),
    )

    def act(self, session: Session, params: Any, args: list[str]) -> int:
        """Write the timeline of one feature."""
        from orchestr.process.lease import read_lease
        from orchestr.process.redaction import redact, secret_values
        from orchestr.state.timeline import make_timeline
        from orchestr.views.export import Format, export_text

        if len(args) != 1:
            known = ", ".join(session.specs.features) or "none"
            raise UsageError("`export` wants one feature", hint=f"features: {known}")
        if params["format"] not in list(Format):
            raise UsageError(
                f"there is no format {params['format']!r}", hint=f"formats: {', '.join(Format)}"
            )
        name = session.target(args[0]).feature
        run = session.run(name)
        upstreams = {p.name: p.upstreams for p in run.plan.cells}
        live = read_lease(session.layout.lease(name)) is not None
        line = make_timeline(run.journal.read(), upstreams, live=live)
        secrets = secret_values(os.environ)
        told = (replace(s, note=redact(s.note, secrets)) if s.note else s for s in line.spans)
        line = replace(line, spans=tuple(told))
        text = export_text(line, name, Format(params["format"]), time.time())
        if not params["output"]:
            answer(text)
            return 0
        path = Path(params["output"])
        write_output(path, text.encode("utf-8", "replace"))
        answer(f"{path}\n")
        return 0
