"""`validate [SPEC]`: every problem of the settings and the specs, each with its place."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from orchestr.cell.agent.prompt import check_template
from orchestr.commands.base.options import flag_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode
from orchestr.plan.missing_edges import missing_edge_problems
from orchestr.plan.overlap_warnings import overlap_problems
from orchestr.run.check_options import list_option_problems
from orchestr.run.check_phases import list_prompt_problems
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
        root = session.settings.workspace.root
        template = check_template(session.settings, report.features)
        template += list_prompt_problems(report.features, root)
        for feature in report.features:
            template += list_option_problems(feature, session.settings, root)
        for problem in [*template, *report.problems, *report.warnings]:
            sys.stdout.write(f"{problem}\n")
        bad = not report.is_good
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


def _print_expanded(session: Session, report: ValidationReport) -> int:
    """The specs as they are read on stdout; what is wrong with others on stderr."""
    for problem in report.problems:
        print_stderr(str(problem))
    sys.stdout.write(expand_specs(session.settings, report.features))
    return int(ExitCode.DONE if report.is_good else ExitCode.USAGE)
