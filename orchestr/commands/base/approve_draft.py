"""`approve spec:NAME`: show what a draft would do and change, ask, write `specs/NAME.yaml`.

The plan is that of a run: waves, bases, what would run again of a feature that is there, conflicts.
"""

from __future__ import annotations

from dataclasses import replace

from orchestr.cell.worktree.workspace_guard import include_own_change
from orchestr.commands.base.drafting import find_places, hold_draft
from orchestr.draft.accept import (
    Acceptance,
    accept_draft,
    add_schema_line,
    decide_acceptance,
    render_diff,
)
from orchestr.draft.build import make_repositories, read_draft_text
from orchestr.draft.context import load_inputs
from orchestr.draft.decide import DraftStep, decide_draft
from orchestr.draft.files import DraftPlaces, DraftRecord, read_draft, read_if_there
from orchestr.errors import UsageError
from orchestr.files import display_path
from orchestr.plan.overlap_warnings import overlap_problems
from orchestr.registry import substitute_program_name
from orchestr.run.check_lock import is_refused, read_person, write_first_lock
from orchestr.run.conflicts import forecast_features
from orchestr.run.workspace import Session
from orchestr.spec.records import Feature
from orchestr.state.journal import utc_timestamp
from orchestr.tasks.loader import select_unignored
from orchestr.tasks.stale import forecast_selection
from orchestr.views.query.cost_forecast import find_run_risks, forecast_run_cost
from orchestr.views.query.spec_lock import has_lock, was_locked
from orchestr.views.query.status import feature_status
from orchestr.views.terminal.conflicts import conflict_lines
from orchestr.views.terminal.costs import cost_lines
from orchestr.views.terminal.output import (
    ask_yes_no,
    print_stderr,
    write_stdout,
    write_stdout_safely,
)
from orchestr.views.terminal.plan import plan_text


def approve_draft(session: Session, name: str, *, yes: bool) -> None:
    """Raises UsageError (exit 2) where there is no draft of the intent as it is, where the spec was
    edited since, or without a person to say yes."""
    places = find_places(session, name)
    with hold_draft(session, name):
        record = _require_draft(session, places)
        shown = display_path(places.spec, session.root)
        target = display_path(places.target, session.root)
        data = read_if_there(places.spec) or b""
        feature, warnings = read_draft_text(session.settings, data, shown)
        if feature.name != name:
            raise UsageError(
                f"{shown} is of the feature {feature.name!r}", hint=f"orchestr draft {name} --force"
            )
        drafted, current = add_schema_line(data), read_if_there(places.target)
        what = decide_acceptance(current, drafted, record.before)
        if what is Acceptance.STALE:
            write_stdout(render_diff(current, drafted, target))
            raise UsageError(
                f"{target} was edited since the draft: nothing is written over it",
                hint=f"orchestr draft {name} --force drafts on the spec as it is now",
            )
        for warning in warnings:
            print_stderr(str(warning))
        if what is Acceptance.WRITE:
            show = write_stdout_safely if yes else write_stdout  # who is asked must have seen it
            show(substitute_program_name(_plan_of(session, feature)))
            show(render_diff(current, drafted, target))
            unheard = "an approval is a person's, and there is no terminal"
            if not yes and not ask_yes_no(f"Write {target}?", unheard=unheard):
                print_stderr("Nothing was written.")
                return
            if read_if_there(places.target) != current:  # a question may stand for hours
                raise UsageError(
                    f"{target} was edited meanwhile: nothing is written over it",
                    hint=f"orchestr approve spec:{name}",
                )
        at, who = utc_timestamp(), read_person(session.root)
        written = [target] if accept_draft(places, record, drafted, at=at, who=who) else []
        include_own_change(session.layout, places.target)
        final, _ = read_draft_text(session.settings, drafted, target)
        run = session.make_run(final)
        # A revision makes no lock: one that is gone was ended by a person, or is to be put back.
        if not record.before and not has_lock(run) and not was_locked(run):
            write_first_lock(run)
            written.append(final.lock_path)
    for path in written:
        write_stdout(f"wrote {path}\n")
    if not written:
        write_stdout(f"{target} is that draft already\n")
    if is_refused(run):
        write_stdout(
            f"next: orchestr amend {name} --reason TEXT: the spec's lock holds some of it\n"
        )
    else:
        write_stdout(f"next: orchestr run {name}\n")


def _require_draft(session: Session, places: DraftPlaces) -> DraftRecord:
    record = read_draft(places)
    if record is None:
        raise UsageError(
            f"there is no draft of {places.name}", hint=f"orchestr draft {places.name}"
        )
    _, inputs = load_inputs(session.settings, places)
    step, why = decide_draft(record, replace(inputs, begun=0))  # the one that is there counts
    if step is not DraftStep.KEEP:
        raise UsageError(
            f"the draft of {places.name} is out of date: {why}",
            hint=f"orchestr draft {places.name}",
        )
    return record


def _plan_of(session: Session, feature: Feature) -> str:
    """What a run of the drafted feature would do."""
    make_repositories(session.settings, sorted({cell.repo for cell in feature.cells}))
    run = session.make_run(feature)
    forecasts = forecast_selection(run, select_unignored(run))
    text = plan_text(
        feature,
        run.plan,
        forecasts,
        feature_status(run, fresh=False).facts,
        claims=[str(claim) for claim in overlap_problems(feature, session.root)],
        jobs=session.settings.limits.jobs,
    )
    cost = forecast_run_cost(run, forecasts, audits=True)
    lines = ["", *cost_lines(cost, find_run_risks(run, cost))] if cost.cells else []
    lines += conflict_lines(forecast_features(session, [feature.name]), feature.name)
    return text + "".join(f"{line}\n" for line in lines)
