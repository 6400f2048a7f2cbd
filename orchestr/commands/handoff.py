"""`handoff FEATURE`: show its pull requests as they will read, ask, then do what was chosen.

Nothing is touched before every cell is green on exactly its published head. What was sent, and what
each call answered, is kept below `.orchestr/handoffs/`; a hand-off that was cut off goes on.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestr.cell.context import FeatureRun
from orchestr.cell.pull_request.observe import observe_pull_requests
from orchestr.codec import encode, replace
from orchestr.commands.base.handoff_dialog import ask_choices, ask_use, edit_texts
from orchestr.commands.base.options import JSON, flag_option, repeated_option
from orchestr.commands.base.person import login_name, read_git_identity
from orchestr.commands.base.verb import PlainVerb
from orchestr.commands.land import confirm_landing, hold_landing_lease, land_features
from orchestr.errors import ExitCode, UsageError
from orchestr.forges.followed import DressingForge
from orchestr.handoff.carry_out import carry_out, find_pull_requests, refuse_changes, refuse_ready
from orchestr.handoff.choose import FLAGS, Choices, read_flags
from orchestr.handoff.prepare import (
    Draft,
    Interrupted,
    Readiness,
    begin_record,
    find_interrupted,
    finish_record,
    make_draft,
    only_landing_is_left,
    read_readiness,
)
from orchestr.handoff.records import ActionKind, Choice, HandoffAction, HandoffRecord
from orchestr.run.check_signing import refuse_unsigned_landing
from orchestr.run.final_report import report_at_end
from orchestr.run.goals import FeatureGoals
from orchestr.run.notify import Notifier
from orchestr.run.start import hold_leases, lease_record, new_run_id
from orchestr.run.workspace import Session
from orchestr.state.journal import utc_timestamp
from orchestr.state.layout import create_state_dirs
from orchestr.tasks.generate import CellSelection
from orchestr.views.terminal.handoff import action_line, actions_text, obstacles_text, texts_text
from orchestr.views.terminal.output import (
    UNHEARD,
    ask_yes_no,
    print_stderr,
    write_paged,
    write_stdout,
)


@dataclass(frozen=True, slots=True)
class Request:
    """What was typed: the choices and how to go about it."""

    choices: Choices
    yes: bool
    dry_run: bool
    edit: bool
    json: bool


class Handoff(PlainVerb):
    """One feature, in merge order."""

    doc_purpose = "show a feature's pull requests as they will read, then do what you choose"
    doc_usage = "FEATURE"
    help_group = "land"
    examples = (
        ("handoff mlkem", "show titles and bodies, ask what to do"),
        ("handoff mlkem --ready --yes", "mark all of it ready for review"),
        ("handoff mlkem --dry-run", "show what is in the way, or what would be sent"),
    )
    cmd_options = (
        flag_option("leave", "bring texts up to date; drafts stay drafts"),
        flag_option("ready", "mark the pull requests ready for review"),
        flag_option("land", "mark them ready, then land the feature"),
        repeated_option("skip", "leave the pull request of this cell alone; may be repeated"),
        repeated_option("base", "another base, CELL=BRANCH; may be repeated"),
        flag_option("edit", "edit each text in $EDITOR before it is sent"),
        flag_option("yes", "do not ask", short="y"),
        flag_option("dry_run", "show everything, touch nothing", long="dry-run"),
        JSON,
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """ExitCode 1 when something is in the way, or did not land."""
        targets = session.parse_targets(args)
        if len(targets) != 1 or targets[0].cell is not None:
            raise UsageError("`handoff` wants one feature", hint="orchestr handoff FEATURE")
        run = session.load_run(targets[0].feature)
        request = _read_request(run, params)
        if request.dry_run:
            observe_pull_requests(run)
            return _show_only(run, request)
        create_state_dirs(session.layout)
        goals = [FeatureGoals(run, [], CellSelection(), [])]
        with hold_leases(goals, break_lock=False):
            run.id = new_run_id()
            observe_pull_requests(run)
            return _hand_over(run, request)


def _read_request(run: FeatureRun, params: Any) -> Request:
    """Raises UsageError, also where there is no terminal to choose at."""
    flags = [choice for choice in Choice if params[str(choice)]]
    cells = [cell.name for cell in run.feature.cells]
    choices = read_flags(flags, params["skip"], params["base"], cells)
    asks = choices.choice is None and not params["dry_run"]
    if asks and (params["json"] or not (sys.stdin.isatty() and sys.stdout.isatty())):
        hint = f"orchestr handoff {run.feature.name} with {FLAGS}"
        raise UsageError("there is no terminal to choose at", hint=hint)
    if params["json"] and not (params["yes"] or params["dry_run"]):
        raise UsageError("--json asks nothing", hint="add --yes, or --dry-run")
    return Request(choices, params["yes"], params["dry_run"], params["edit"], params["json"])


def _hand_over(run: FeatureRun, request: Request) -> int:
    """Under the lease: go on with what was cut off, or begin."""
    before = find_interrupted(run, request.choices)
    goes_on = before is not None and before.why_not is None
    if before is not None and goes_on and only_landing_is_left(before.record):
        return _go_on(run, request, before)
    readiness = read_readiness(run)
    if readiness.obstacles:
        return _refuse(run, readiness, request)
    if before is not None and goes_on:
        return _go_on(run, request, before)
    draft = _choose(run, readiness, request)
    if draft is None:
        print_stderr("Nothing was changed.")
        return int(ExitCode.DONE)
    if not draft.actions:
        _print_nothing_to_do(run, draft, request)
        return int(ExitCode.DONE)
    _check_possible(run, draft.choice)
    if draft.choice is Choice.LAND and not confirm_landing([run], yes=request.yes, undo=False):
        return int(ExitCode.DONE)
    prs = find_pull_requests(run, draft.texts)
    refuse_changes(run, draft.texts, prs)
    if before is not None:
        print_stderr(f"the hand-off of {before.record.started_at} is given up: {before.why_not}")
        finish_record(before.path, before.record, f"given up: {before.why_not}")
    name, email = read_git_identity(run.cell_context(run.feature.cells[0].name))
    by = f"{name} <{email}> ({login_name()})"
    path, record = begin_record(run, draft, by=by, command=lease_record((), 1).command)
    return _perform(run, request, path, record)


def _go_on(run: FeatureRun, request: Request, before: Interrupted) -> int:
    """What was shown and chosen then is done now."""
    record = before.record
    left = [action for action in record.actions if action.result is None]
    print_stderr(f"going on with the hand-off of {record.started_at}:")
    print_stderr(actions_text(left).rstrip("\n"))
    return _perform(run, request, before.path, record)


def _choose(run: FeatureRun, readiness: Readiness, request: Request) -> Draft | None:
    """Show, ask; None when the person cancels."""
    choices: Choices | None = request.choices
    by_flags = request.choices.choice is not None
    if not by_flags:
        write_stdout(make_draft(run, readiness, request.choices).summary)
        choices = ask_choices(request.choices, readiness.open_cells)
    if choices is None:
        return None
    draft = make_draft(run, readiness, choices)
    if not draft.actions and not request.edit:
        return draft
    if request.edit:
        draft = edit_texts(run, draft, [text.cell for text in draft.texts])
    if not request.json:
        write_paged(texts_text(draft.texts) + draft.summary)
    if not by_flags:
        return ask_use(run, draft, lambda new: write_paged(texts_text(new.texts)))
    if request.yes:
        return draft
    print_stderr(actions_text(draft.actions).rstrip("\n"))
    return draft if ask_yes_no("Use these texts?", unheard=UNHEARD) else None


def _check_possible(run: FeatureRun, choice: Choice) -> None:
    """Raises OrchestrError before anything is touched."""
    if choice is not Choice.LEAVE and not isinstance(run.forge, DressingForge):
        raise refuse_ready(run)
    if choice is Choice.LAND:
        refuse_unsigned_landing([run], None)


def _perform(run: FeatureRun, request: Request, path: Path, record: HandoffRecord) -> int:
    """Every call that has no result yet, then the landing."""
    prs = find_pull_requests(run, record.texts)
    refuse_changes(run, record.texts, prs)

    def show(action: HandoffAction) -> None:
        if not request.json:
            write_stdout(f"{action_line(action)}\n")
            sys.stdout.flush()

    record = carry_out(run, record, path, prs, show)
    code, outcome = int(ExitCode.DONE), "done"
    if record.actions and record.actions[-1].kind is ActionKind.LAND:
        code, record = _land(run, request, record)
        outcome = str(record.actions[-1].result)
    record = finish_record(path, record, outcome)
    if request.json:
        table = {**encode(record), "ready": True, "record": str(path)}
        write_stdout(json.dumps(table, indent=2, ensure_ascii=False) + "\n")
        return code
    write_stdout(f"the hand-off is written down in {_shorten_path(run, path)}\n")
    write_stdout(f"next: {_next_command(run, record.choice, code)}\n")
    return code


def _land(run: FeatureRun, request: Request, record: HandoffRecord) -> tuple[int, HandoffRecord]:
    """Land the feature; what the journal says of it belongs to the record."""
    with Notifier([run]) as notifier, hold_landing_lease([run]):
        run.listener = notifier.show_event
        with report_at_end([run], "land", notifier) as end:
            observe_pull_requests(run)
            end.code = land_features([run], quiet=request.json, notifier=notifier, ending=end)
    code = end.code
    rows = tuple(
        {"at": event.ts, "kind": str(event.kind), "cell": event.cell, **event.data}
        for event in run.journal.read()
        if event.ts >= record.started_at and str(event.kind).startswith(("land.", "pr."))
    )
    result = "landed" if code == ExitCode.DONE else "not all of it has landed"
    done = replace(record.actions[-1], result=result, at=utc_timestamp())
    return code, replace(record, actions=(*record.actions[:-1], done), landing=rows)


def _show_only(run: FeatureRun, request: Request) -> int:
    """A dry run: no lease, so a run may be at work beside it."""
    readiness = read_readiness(run)
    if readiness.obstacles:
        return _refuse(run, readiness, request)
    draft = make_draft(run, readiness, request.choices)
    if request.json:
        _print_json(run, readiness, draft)
        return int(ExitCode.DONE)
    write_paged(texts_text(draft.texts) + draft.summary)
    chosen = draft.choices.choice
    write_stdout(f"with --{chosen or Choice.LEAVE}:\n{actions_text(draft.actions)}")
    return int(ExitCode.DONE)


def _refuse(run: FeatureRun, readiness: Readiness, request: Request) -> int:
    if request.json:
        _print_json(run, readiness, None)
    else:
        write_stdout(obstacles_text(run.feature.name, readiness.obstacles))
    return int(ExitCode.FAILED)


def _print_json(run: FeatureRun, readiness: Readiness, draft: Draft | None) -> None:
    table = {
        "feature": run.feature.name,
        "ready": not readiness.obstacles,
        "obstacles": [{"cell": one.cell or None, "why": one.why, "next": one.command}
                      for one in readiness.obstacles],
        "choice": draft.choices.choice if draft is not None else None,
        "texts": _encode_all(draft.texts) if draft is not None else [],
        "actions": _encode_all(draft.actions) if draft is not None else [],
        "summary": draft.summary if draft is not None else None,
    }  # fmt: skip
    write_stdout(json.dumps(table, indent=2, ensure_ascii=False) + "\n")


def _encode_all(records: Sequence[Any]) -> list[dict[str, Any]]:
    return [encode(record) for record in records]


def _print_nothing_to_do(run: FeatureRun, draft: Draft, request: Request) -> None:
    if request.json:
        table = {"feature": run.feature.name, "ready": True, "obstacles": [], "actions": [],
                 "choice": draft.choice, "texts": _encode_all(draft.texts),
                 "summary": draft.summary}  # fmt: skip
        write_stdout(json.dumps(table, indent=2, ensure_ascii=False) + "\n")
        return
    write_stdout(actions_text(()))


def _next_command(run: FeatureRun, choice: Choice, code: int) -> str:
    name = run.feature.name
    if choice is Choice.LAND:
        return f"orchestr status {name}" if code == ExitCode.DONE else f"orchestr land {name}"
    return f"orchestr follow {name}"


def _shorten_path(run: FeatureRun, path: Path) -> str:
    relative = os.path.relpath(path, Path.cwd())
    return str(path) if relative.startswith("..") else relative
