"""The task `spec:NAME` of each intent: its draft, with the intent as `file_dep`.

Like the phases, a draft knows itself whether it is up to date, so a missing row in `.doit.db` means
nothing. Its repositories are made by the tasks `repo:NAME` before, where they are made on demand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from doit.task import Task

from orchestr.draft.build import build_draft
from orchestr.draft.context import DraftWork, load_inputs
from orchestr.draft.decide import DraftStep, decide_draft
from orchestr.draft.files import DraftPlaces, read_draft
from orchestr.draft.intent import list_intents
from orchestr.errors import OrchestrError, UsageError
from orchestr.settings.records import Settings
from orchestr.spec.goal_names import DRAFT_PREFIX
from orchestr.tasks.generate import SameDigest, TaskAction


def make_draft_tasks(settings: Settings, works: Mapping[str, DraftWork]) -> list[Task]:
    """One task for each intent; ``works`` are those that a verb has begun, by name."""
    names = dict.fromkeys([*list_intents(settings.workspace.specs), *works])
    return [_make_task(settings, name, works.get(name)) for name in names]


def _make_task(settings: Settings, name: str, work: DraftWork | None) -> Task:
    places = work.places if work is not None else DraftPlaces.find(settings, name)
    deps = [places.intent, *([places.findings] if places.findings.exists() else [])]
    return Task(
        f"{DRAFT_PREFIX}{name}",
        [TaskAction(_make_action(name, work), "draft the spec")],
        file_dep=[str(path) for path in deps],
        targets=[str(places.spec), str(places.record)],
        uptodate=[SameDigest("spec", lambda: is_up_to_date(settings, places))],
        doc=f"the spec of {name}, drafted from its intent",
        io={"capture": False},
    )


def is_up_to_date(settings: Settings, places: DraftPlaces) -> bool:
    """Whether the draft is of the intent as it is now; an intent with errors is not."""
    try:
        _, inputs = load_inputs(settings, places)
        return decide_draft(read_draft(places), inputs)[0] is DraftStep.KEEP
    except OrchestrError:
        return False


def _make_action(name: str, work: DraftWork | None) -> Callable[[], None]:
    def act() -> None:
        if work is None:
            raise UsageError(
                "only `run` and `draft` start a draft: they ask before an agent that costs money",
                hint=f"orchestr draft {name}",
            )
        try:
            build_draft(work)
        except OrchestrError as error:  # doit shows no hint
            hint = f"\nhint: {error.hint}" if error.hint else ""
            raise OrchestrError(f"{error.message}{hint}") from error

    return act
