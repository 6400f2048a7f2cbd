"""Everything that `validate` finds, beyond what the reader of specs reports."""

from __future__ import annotations

from dataclasses import dataclass

from orchestr.cell.agent.prompt import check_template
from orchestr.errors import Problem
from orchestr.plan.missing_edges import missing_edge_problems
from orchestr.plan.overlap_warnings import overlap_problems
from orchestr.run.check_options import list_option_problems
from orchestr.run.check_phases import list_prompt_problems
from orchestr.settings.records import Settings
from orchestr.spec.records import Feature
from orchestr.spec.validate import ValidationReport


@dataclass(frozen=True, slots=True)
class FoundProblems:
    """``general`` are those of templates and files, ``of_features`` those between the cells of a
    good feature, by its name. ``refused``: features whose cells claim the same paths."""

    general: tuple[Problem, ...]
    of_features: dict[str, tuple[Problem, ...]]
    refused: frozenset[str]
    is_good: bool

    def is_refused(self, feature: Feature) -> bool:
        """Whether a run of the feature would be refused because of its cells' claims."""
        return feature.name in self.refused

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All of them, in the order in which they are shown."""
        return (*self.general, *(one for found in self.of_features.values() for one in found))


def find_problems(settings: Settings, report: ValidationReport) -> FoundProblems:
    """The problems of a report, and those of templates, prompts and cells together."""
    root = settings.workspace.root
    template = check_template(settings, report.features)
    template += list_prompt_problems(report.features, root)
    for feature in report.features:
        template += list_option_problems(feature, settings, root)
    found: dict[str, tuple[Problem, ...]] = {}
    refused = set()
    for feature in report.features:
        claims = overlap_problems(feature, root)
        found[feature.name] = (*claims, *missing_edge_problems(feature, root))
        if any(claim.severity == "error" for claim in claims):
            refused.add(feature.name)
    general = (*template, *report.problems, *report.warnings)
    good = report.is_good and not template and not refused
    return FoundProblems(general, found, frozenset(refused), good)
