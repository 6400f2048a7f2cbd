"""`validate [SPEC]`: every problem of the settings and the specs, each with its place."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from orchestr.commands.base.options import flag_option
from orchestr.commands.base.spec_problems import find_problems
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode
from orchestr.run.workspace import Session
from orchestr.spec.validate import ValidationReport, expand_specs, validate_specs
from orchestr.views.terminal.output import print_stderr


class Validate(PlainVerb):
    """Reads, checks, starts nothing."""

    doc_purpose = "check the settings and the specs, every problem at once"
    doc_usage = "[SPEC-FILE ...]"
    cmd_options = (
        flag_option(
            "expanded", "print the specs as they are read: nothing taken in, no vars, no for"
        ),
    )
    help_group = "workspace"
    only_reads = True
    examples = (
        ("validate", "all specs"),
        ("validate specs/mlkem.yaml", "one of them"),
        ("validate --expanded mlkem", "with everything filled in, as YAML"),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """ExitCode 2 when there are errors. Warnings are printed and change nothing."""
        report = validate_specs(session.settings, args, cwd=Path.cwd())
        if params["expanded"]:
            return _print_expanded(session, report)
        found = find_problems(session.settings, report)
        for problem in found.general:
            sys.stdout.write(f"{problem}\n")
        for feature in report.features:
            for problem in found.of_features[feature.name]:
                sys.stdout.write(f"{problem}\n")
            if not found.is_refused(feature):
                sys.stdout.write(f"{feature.path}: good: feature {feature.name}, "
                                 f"{len(feature.cells)} cells\n")  # fmt: skip
        if not report.features and report.is_good:
            sys.stdout.write(f"no specs in {session.settings.workspace.specs}\n")
        return int(ExitCode.DONE if found.is_good else ExitCode.USAGE)


def _print_expanded(session: Session, report: ValidationReport) -> int:
    """The specs as they are read on stdout; what is wrong with others on stderr."""
    for problem in report.problems:
        print_stderr(str(problem))
    sys.stdout.write(expand_specs(session.settings, report.features))
    return int(ExitCode.DONE if report.is_good else ExitCode.USAGE)
