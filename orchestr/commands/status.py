"""`status [FEATURE ...] [--json] [--watch] [--fetch]`: cells, phases, attempts, pull requests."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

from orchestr.commands.facts import feature_status
from orchestr.commands.observe import observe
from orchestr.commands.options import JSON, flag
from orchestr.commands.plain_verb import PlainVerb
from orchestr.commands.report import say
from orchestr.commands.session import Session
from orchestr.errors import as_typed
from orchestr.lifecycle import replay
from orchestr.render.status import status_json, status_text
from orchestr.store import prepare

EVERY = 1.0  # s between two looks of --watch
FETCH_EVERY = 60.0  # s between two questions of --watch --fetch to the forge


class Status(PlainVerb):
    """Reads files only, so it may be asked as often as one likes, also beside a run.

    ``--fetch`` asks the forge once a repository first and keeps the answer in the journal.
    """

    doc_purpose = "how far every cell is"
    doc_usage = "[FEATURE ...]"
    cmd_options = (
        JSON,
        flag("watch", "look again every second until Ctrl+C", short="w"),
        flag("fetch", "ask the forge for the pull requests, their checks and reviews"),
    )

    def act(self, session: Session, params: Any, args: list[str]) -> int:
        """Print the table, or the JSON of DESIGN.md."""
        for problem in session.specs.problems:
            say(str(problem))
        names = [session.target(word).feature for word in args] or list(session.specs.features)
        names = list(dict.fromkeys(names))
        if not names:
            say(f"no specs in {session.settings.workspace.specs}")
        asked_at = float("-inf")
        away = False
        while True:
            if params["fetch"] and time.monotonic() - asked_at >= FETCH_EVERY:
                away, asked_at = fetch(session, names), time.monotonic()
            found = [feature_status(session.run(name)) for name in names]
            if params["json"]:
                sys.stdout.write(json.dumps(status_json(found), indent=2) + "\n")
                return int(away)
            clear = params["watch"] and sys.stdout.isatty()
            colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
            text = as_typed(status_text(found, datetime.now(UTC), colour=colour))
            sys.stdout.write(("\x1b[H\x1b[2J" if clear else "") + text)
            sys.stdout.flush()
            if not params["watch"]:
                return int(away)
            time.sleep(EVERY)


def fetch(session: Session, names: list[str]) -> bool:
    """Ask the forge; True when a repository could not be asked (what was known is shown)."""
    prepare(session.layout)
    away: dict[str, str] = {}
    for name in names:
        run = session.run(name)
        run.past, run.forge_away = replay(run.journal.read()), {}
        observe(run)
        away |= run.forge_away
    for repo, why in away.items():
        say(f"warning: repository {repo}: {why}")
    return bool(away)
