"""`validate [SPEC]`: every problem of the settings and the specs, each with its place."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from orchestr.cell.agent.prompt import check_template
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode
from orchestr.plan.missing_edges import missing_edge_problems
from orchestr.plan.overlap_warnings import overlap_problems
from orchestr.run.workspace import Session
from orchestr.spec.validate import validate_specs


class Validate(PlainVerb):
    """Reads, checks, starts nothing."""

    doc_purpose = "check the settings and the specs, every problem at once"
    doc_usage = "[SPEC-FILE ...]"
    help_group = "workspace"
    only_reads = True
    examples = (
        ("validate", "all specs"),
        ("validate specs/mlkem.yaml", "one of them"),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """ExitCode 2 when there are errors. Warnings are printed and change nothing."""
        report = validate_specs(session.settings, args, cwd=Path.cwd())
        template = check_template(session.settings, report.features)
        for problem in [*template, *report.problems, *report.warnings]:
            sys.stdout.write(f"{problem}\n")
        bad = not report.is_good
        root = session.settings.workspace.root
        for feature in report.features:
            found = overlap_problems(feature, root)
            for problem in [*found, *missing_edge_problems(feature, root)]:
                sys.stdout.write(f"{problem}\n")
            if any(claim.severity == "error" for claim in found):
                bad = True
                continue
            sys.stdout.write(f"{feature.path}: good: feature {feature.name}, "
                             f"{len(feature.cells)} cells\n")  # fmt: skip
        if not report.features and report.is_good:
            sys.stdout.write(f"no specs in {session.settings.workspace.specs}\n")
        return int(ExitCode.USAGE if bad or template else ExitCode.DONE)
