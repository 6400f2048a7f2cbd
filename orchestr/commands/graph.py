"""`graph FEATURE [--format F] [-o FILE]`: the DAG coloured by state, as text, DOT, SVG, Mermaid."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestr.commands.base.options import value_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import UsageError
from orchestr.files import write_atomic
from orchestr.run.workspace import Session, suggest_name
from orchestr.views.graph.formats import FORMATS, dot_text, mermaid_text, nodes_of
from orchestr.views.graph.svg import svg_text
from orchestr.views.graph.text import graph_text
from orchestr.views.model import FeatureStatus
from orchestr.views.query.status import feature_status
from orchestr.views.terminal.output import print_stderr

SUFFIXES = {".svg": "svg", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid", ".txt": "text"}
COLUMNS = 80  # where there is no terminal


class Graph(PlainVerb):
    """Reads files only; needs neither Graphviz nor a terminal."""

    doc_purpose = "draw a feature's cells and what waits for what, coloured by state"
    doc_usage = "FEATURE"
    help_group = "view"
    only_reads = True
    examples = (
        ("graph mlkem", "boxes and lines in the terminal"),
        ("graph mlkem -o mlkem.svg", "a drawing for the browser"),
        ("graph mlkem --format dot | dot -Tpng > mlkem.png", "with Graphviz"),
    )
    cmd_options = (
        value_option("format", f"{', '.join(FORMATS)} (default: by the file's name, else text)"),
        value_option("output", "write to this file instead of stdout", short="o"),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Draw one feature."""
        if len(args) != 1:
            known = ", ".join(session.specs.features) or "none"
            raise UsageError("`graph` wants one feature", hint=f"features: {known}")
        target = session.parse_target(args[0])
        file = Path(params["output"]) if params["output"] else None
        form = params["format"] or (SUFFIXES.get(file.suffix, "text") if file else "text")
        if form not in FORMATS:
            hint = suggest_name(form, FORMATS) or f"formats: {', '.join(FORMATS)}"
            raise UsageError(f"there is no format {form!r}", hint=hint)
        status = feature_status(session.load_run(target.feature))
        text = draw_graph(status, form, to_file=file is not None)
        if file is None:
            sys.stdout.write(text)
            return 0
        try:
            write_atomic(file, text.encode())
        except OSError as error:
            raise UsageError(
                f"{file} cannot be written: {error.strerror}", hint="-o FILE in a folder of yours"
            ) from error
        print_stderr(f"wrote {file}")
        return 0


def draw_graph(status: FeatureStatus, form: str, *, to_file: bool) -> str:
    """The feature in that format; text for this terminal, or for any reader of a file."""
    nodes = nodes_of(status, datetime.now(UTC))
    name = status.feature.name
    match form:
        case "dot":
            return dot_text(name, nodes)
        case "mermaid":
            return mermaid_text(nodes)
        case "svg":
            return svg_text(f"{name}: {status.feature.title}", nodes)
        case _:
            terminal = sys.stdout.isatty() and not to_file
            columns = shutil.get_terminal_size((COLUMNS, 24)).columns if terminal else COLUMNS
            colour = terminal and "NO_COLOR" not in os.environ
            plain = not to_file and not can_encode_graph(sys.stdout.encoding)
            return graph_text(nodes, columns, colour=colour, plain=plain)


def can_encode_graph(encoding: str | None) -> bool:
    """Whether box drawing and our signs can be written so."""
    try:
        "─│┌▼✓⊘★".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
