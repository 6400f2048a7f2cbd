"""`status [FEATURE ...] [--json] [--watch] [--fetch]`: cells, phases, attempts, pull requests."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from orchestr.cell.context import FeatureRun, observed_prs
from orchestr.cell.pull_request.observe import observe_pull_requests
from orchestr.commands.base.options import JSON, flag_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import OrchestrError
from orchestr.registry import substitute_program_name
from orchestr.run.conflicts import fetch_foreign, read_status
from orchestr.run.start import make_tail_reader
from orchestr.run.workspace import Session
from orchestr.state.layout import create_state_dirs
from orchestr.state.replay import FeatureView, replay
from orchestr.views.live.choose import can_draw
from orchestr.views.query.status import feature_status
from orchestr.views.terminal.output import print_stderr, terminal_columns
from orchestr.views.terminal.status import status_json, status_text
from orchestr.views.terminal.text import clean_line

EVERY = 1.0  # s between two looks of --watch
FETCH_EVERY = 60.0  # s between two questions of --watch --fetch to the forge


class Status(PlainVerb):
    """Reads files only, so it may be asked as often as one likes, also beside a run.

    ``--fetch`` asks the forge once a repository first and keeps the answer in the journal.
    """

    doc_purpose = "how far every cell is"
    doc_usage = "[FEATURE ...]"
    help_group = "view"
    only_reads = True
    examples = (
        ("status", "all features"),
        ("status mlkem --watch", "a live table, beside a run or without one"),
        ("status mlkem --fetch", "ask the forge first: checks and reviews"),
        ("status --json | jq '.features[].state'", "for programs"),
    )
    cmd_options = (
        JSON,
        flag_option("watch", "a live table until Ctrl+C", short="w"),
        flag_option("fetch", "ask the forge for the pull requests, their checks and reviews"),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Print the table, or the JSON that docs/json.md describes."""
        for problem in session.specs.problems:
            print_stderr(str(problem))
        names = [session.parse_target(word).feature for word in args] or list(
            session.specs.features
        )
        names = list(dict.fromkeys(names))
        if not names:
            print_stderr(f"no specs in {session.settings.workspace.specs}")
        asked_at = float("-inf")
        away, foreign = False, None
        while True:
            if params["fetch"] and time.monotonic() - asked_at >= FETCH_EVERY:
                away, asked_at = fetch_pull_requests(session, names), time.monotonic()
                foreign = fetch_foreign(session, names)
            found = read_status(session, names, foreign)
            if params["json"]:
                sys.stdout.write(json.dumps(status_json(found), indent=2) + "\n")
                return int(away)
            if params["watch"] and can_draw(sys.stdout, os.environ):
                return watch_status(session, names, fetched=params["fetch"])
            colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
            text = status_text(found, datetime.now(UTC), colour=colour, columns=terminal_columns())
            text = substitute_program_name(text)
            sys.stdout.write(text)
            if params["fetch"]:
                for line in list_red_checks(session, names):
                    sys.stdout.write(f"{clean_line(line)}\n")
            sys.stdout.flush()
            if not params["watch"]:
                return int(away)
            time.sleep(EVERY)


def list_red_checks(session: Session, names: list[str]) -> list[str]:
    """A line for each red check of CI: its cell, its name with the matrix entry, its address. The
    forge is asked only where the look before showed that CI is red."""
    from orchestr.follow.look import list_pull_requests  # only where the forge is asked
    from orchestr.forges.followed import CheckState, FollowingForge

    runs = [session.load_run(name) for name in names]
    forge = runs[0].forge
    if not isinstance(forge, FollowingForge):
        return []
    red = {
        (run.feature.name, cell.name)
        for run in runs
        for cell in run.feature.cells
        if any(pr.checks == CheckState.FAILURE for pr in observed_prs(run, cell))
    }
    keys = {name: key for name, key in list_pull_requests(runs).items() if name in red}
    try:
        found = {} if not keys else forge.read_facts(tuple(dict.fromkeys(keys.values())))
    except OrchestrError as error:
        print_stderr(f"warning: {error.message}")
        return []
    return [
        f"CI is red at {':'.join(name)}: {check.name}{f' ({check.url})' if check.url else ''}"
        for name, key in keys.items()
        if key in found
        for check in found[key].checks
        if check.state is CheckState.FAILURE
    ]


def watch_status(session: Session, names: list[str], *, fetched: bool) -> int:
    """The live table of `run`, fed from the journals, until Ctrl+C."""
    from orchestr.views.live.live import LiveProgress

    runs = {name: session.load_run(name) for name in names}
    plans = [run.plan for run in runs.values()]
    slots = session.settings.limits.jobs
    asked_at = time.monotonic()
    with LiveProgress(
        plans, sys.stdout, slots=slots, tail=make_tail_reader(runs), keep=True
    ) as live:
        while True:
            live.show_views({name: _current_view(run) for name, run in runs.items()})
            time.sleep(EVERY)
            if fetched and time.monotonic() - asked_at >= FETCH_EVERY:
                fetch_pull_requests(session, names)
                asked_at = time.monotonic()


def _current_view(run: FeatureRun) -> FeatureView:
    """The journal, with the states that the result files say."""
    status = feature_status(run)
    cells = {
        cell.name: replace(status.view.cell(cell.name), state=status.cell_state(cell.name))
        for cell in run.plan.cells
    }
    return replace(status.view, cells=cells)


def fetch_pull_requests(session: Session, names: list[str]) -> bool:
    """Ask the forge; True when a repository could not be asked (what was known is shown)."""
    create_state_dirs(session.layout)
    away: dict[str, str] = {}
    for name in names:
        run = session.load_run(name)
        run.past, run.forge_away = replay(run.journal.read()), {}
        observe_pull_requests(run)
        away |= run.forge_away
    for repo, why in away.items():
        print_stderr(f"warning: repository {repo}: {why}")
    return bool(away)
