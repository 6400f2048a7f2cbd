"""`board [--port N] [--open]`: the report of every feature, live, at this machine's own address.

Owns serving (uvicorn, the extra `orchestr[board]`) and what the actions do; the application and its
protection are `orchestr.views.board.app`. An action is a verb of ours in a process of its own: the
board holds no lease and no lock, and ending it ends nothing else.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestr.commands.base.options import flag_option, value_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.commands.report import open_browser
from orchestr.errors import OrchestrError, UsageError
from orchestr.process.lease import read_lease
from orchestr.process.redaction import redact, secret_values
from orchestr.process.run import run_command, start_detached
from orchestr.registry import VERBS
from orchestr.run.conflicts import add_forecast
from orchestr.run.workspace import Session
from orchestr.views.board.app import BoardApp as App
from orchestr.views.board.app import BoardSource, HttpError
from orchestr.views.html.model import FeaturePage
from orchestr.views.html.page import (
    FEATURE_LOOKS,
    BoardControls,
    body_html,
    index_html,
    report_html,
)
from orchestr.views.html.section_records import StateBadge
from orchestr.views.html.sections import state_badge
from orchestr.views.query.report import FeaturePageBuilder
from orchestr.views.query.status import feature_status, read_gates
from orchestr.views.terminal.output import print_stderr
from orchestr.views.terminal.text import format_count

ACTIONS = ("abort", "force", "approve")
PATIENCE = 300.0  # s for an action that ends on its own
FIRST_LOOK = 3.0  # s that a started run has to say that it cannot start
SAID = 4000  # characters
KEPT = 0.8  # s for which a page is as good as new


class Board(PlainVerb):
    """Reads what `report` reads; three actions, each a verb in a process of its own."""

    doc_purpose = "the live report in the browser, with actions, on this machine only"
    doc_usage = ""
    help_group = "view"
    examples = (("board", "all features, live in the browser, with actions"),)
    cmd_options = (
        value_option("port", "where to listen (default: a free port)", type_=int, default=0),
        flag_option("open", "show it in the browser"),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Serve until Ctrl+C."""
        if args:
            raise UsageError("`board` shows all features", hint="orchestr board [--port N]")
        listener = _open_listener(params["port"])
        app = App(WorkspaceSource(session.root), listener.getsockname()[1])
        serve = _make_server(app)
        sys.stdout.write(f"{app.address}\n")
        sys.stdout.flush()
        print_stderr(
            "the address holds a token: who has it may act here. Ctrl+C ends the board, no run"
        )
        if params["open"]:
            open_browser(app.address)
        serve(listener)
        return 0


@dataclass(frozen=True, slots=True)
class CachedPage:
    """A page for other windows, as long as nothing happened and not for longer than ``until``."""

    version: str
    until: float
    page: FeaturePage


class WorkspaceSource(BoardSource):
    """The workspace as it is now; pages are kept for a moment, differences for longer."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.actions = tuple(a for a in ACTIONS if a == "force" or a in VERBS.own_names)
        self._mutex = threading.Lock()
        self._gatherers: dict[str, FeaturePageBuilder] = {}
        self._pages: dict[str, CachedPage] = {}
        self._started: list[subprocess.Popen[bytes]] = []

    def render_index(self, live: BoardControls) -> str:
        session = Session(self.root)
        found: list[tuple[str, str, StateBadge, str]] = []
        for name, feature in session.specs.features.items():
            status = feature_status(session.load_run(name))
            good = sum(status.cell_state(c.name).counts_as_done for c in status.plan.cells)
            look = state_badge(FEATURE_LOOKS[status.state])
            state = StateBadge(status.state.value, FEATURE_LOOKS[status.state].symbol, look.look)
            words = f"{good} of {format_count(len(status.plan.cells), 'cell')} done"
            found.append((name, feature.title, state, words))
        return index_html(found, live, [str(p) for p in session.specs.problems])

    def render_page(self, feature: str, live: BoardControls) -> str:
        return report_html(self._load_page(feature), live)

    def render_body(self, feature: str, live: BoardControls) -> str:
        return body_html(self._load_page(feature), live)

    def _load_page(self, feature: str) -> FeaturePage:
        """One at a time: two windows at once are no reason to read everything twice."""
        with self._mutex:
            # The version from before the look: what happens meanwhile makes the page old.
            version, begin = self.read_version(feature)[0], time.monotonic()
            kept = self._pages.get(feature)
            if kept is not None and kept.version == version and begin < kept.until:
                return kept.page
            session = self._open_session(feature)
            gatherer = self._gatherers.setdefault(
                feature, FeaturePageBuilder(embeds_pictures=False)
            )
            page = gatherer.build_page(session.load_run(feature))
            page = replace(page, status=add_forecast(session, [page.status])[0])
            now = time.monotonic()
            self._pages[feature] = CachedPage(version, now + max(KEPT, 2 * (now - begin)), page)
            return page

    def _open_session(self, feature: str) -> Session:
        session = Session(self.root)
        if feature not in session.specs.features and not session.specs.problems:
            raise HttpError(404, "there is no such feature")
        session.find_feature(feature)
        return session

    def read_version(self, feature: str) -> tuple[str, bool]:
        session = self._open_session(feature)
        live = read_lease(session.layout.lease_file(feature)) is not None
        spec = self.root / session.find_feature(feature).path
        stamp = spec.stat().st_mtime_ns if spec.exists() else 0
        return f"{session.open_journal(feature).size()}-{stamp}-{int(live)}", live

    def perform_action(self, action: str, feature: str, cell: str, seen: str) -> tuple[bool, str]:
        session = self._open_session(feature)
        target = session.parse_target(f"{feature}:{cell}" if cell else feature)
        match action:
            case "abort":
                return self._run_command(action, str(target))
            case "approve" if target.cell is not None:
                # What is recorded must be what was on the page, not what there is by now.
                waits = (
                    g
                    for g in read_gates(session.select_cell(str(target)))
                    if g["state"] != "approved"
                )
                gate = next((g["gate"] for g in waits if seen and g["digest"] == seen), None)
                if gate is None:
                    return False, f"{target} has changed since this page was made: look again"
                good, words = self._run_command(action, str(target), "--gate", gate, "--yes")
                return good, f"{words}\nnext: orchestr run {feature}" if good else words
            case _:
                if target.cell is None or action != "force":
                    raise HttpError(400, "name the cell")
                return self._start_run(session, str(target))

    def _run_command(self, verb: str, *more: str) -> tuple[bool, str]:
        done = run_command(
            _build_argv(verb, *more),
            cwd=self.root,
            env=_child_environment(),
            timeout=PATIENCE,
            check=False,
        )
        words = f"{done.text}{done.err.decode('utf-8', 'replace')}"
        return done.code == 0, _redact_tail(words) or f"exit {done.code}"

    def _start_run(self, session: Session, target: str) -> tuple[bool, str]:
        """A run that outlives the board; an immediate refusal is returned."""
        self._started = [child for child in self._started if child.poll() is None]
        log = session.layout.state / "board" / f"{time.time_ns()}.log"
        argv = _build_argv("run", target, "--force", "--yes")
        child = start_detached(argv, cwd=self.root, env=_child_environment(), log=log)
        with suppress(subprocess.TimeoutExpired):
            child.wait(FIRST_LOOK)
        self._started.append(child)
        if child.poll() in (None, 0):
            return True, f"started: orchestr run {target} --force; it goes on without the board"
        return False, _redact_tail(log.read_text("utf-8", "replace"))


def _build_argv(verb: str, *words: str) -> tuple[str, ...]:
    return sys.executable, "-P", "-m", "orchestr", verb, *words


def _child_environment() -> dict[str, str]:
    """Ours, and the package where we found it: the workspace may hold another one."""
    package, inherited = str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")
    path = f"{package}{os.pathsep}{inherited}" if inherited else package
    return {**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"}


def _redact_tail(text: str) -> str:
    return redact(text, secret_values(os.environ)).strip()[-SAID:]


def _open_listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)  # now: the address is printed before the server runs
    except (OSError, OverflowError) as error:
        listener.close()
        raise OrchestrError(
            f"cannot listen at 127.0.0.1:{port}: {error}", hint="choose another --port, or none"
        ) from error
    return listener


def _make_server(app: App) -> Callable[[socket.socket], None]:
    """What serves ``app`` until SIGINT or SIGTERM. Raises UsageError where uvicorn is missing."""
    try:
        import uvicorn
    except ImportError:
        raise UsageError(
            "the board needs uvicorn, which is not installed",
            hint=f"{sys.executable} -m pip install 'uvicorn>=0.23'; "
            "`orchestr report` needs nothing",
        ) from None

    class BoardServer(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            app.closing = True  # or the event streams would keep it
            super().handle_exit(sig, frame)

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=3,
    )

    def serve_app(listener: socket.socket) -> None:
        with suppress(KeyboardInterrupt):  # uvicorn raises the signal again when it is through
            BoardServer(config).run(sockets=[listener])

    return serve_app
