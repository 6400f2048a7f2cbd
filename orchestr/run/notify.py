"""`[notify]`: sends a run's news, by a command (JSON on stdin) or a POST to a URL.

Beside the run, never in its way: news waits in a queue, a thread sends it with a
time limit, and the end of the run waits for it a little. Whoever is told and fails is named once;
the run does not care. A kill loses what was not told yet: the journal is the truth.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestr.agents.environment import ALLOWED
from orchestr.cell.context import FeatureRun
from orchestr.errors import ExitCode, OrchestrError
from orchestr.process.redaction import redact, secret_values
from orchestr.process.run import filter_env
from orchestr.process.run import run_command as run_process
from orchestr.settings.news_records import NotifySettings
from orchestr.state.cell_state import asks_for_approval
from orchestr.state.event_details import CheckDone, RunFinished
from orchestr.state.events import Event, EventKind
from orchestr.state.journal import utc_timestamp
from orchestr.state.replay import CellView, FeatureView, apply_event
from orchestr.state.results import NO_PR
from orchestr.state.states import CellState
from orchestr.views.live.progress import Progress
from orchestr.views.terminal.output import print_stderr
from orchestr.views.terminal.text import clean_line, headline

MOST = 200  # news that wait; more are dropped
LONGEST = 500  # letters of a reason
NEWS = {
    CellState.FAILED: "failed",
    CellState.MERGE_CONFLICT: "failed",
    CellState.NEEDS_PERSON: "approval",
    CellState.APPROVAL: "approval",
    CellState.WAITING: "waiting",
}


def derive_message(view: FeatureView, event: Event) -> tuple[FeatureView, dict[str, Any] | None]:
    """The view after an event, and what there is to tell of it, if anything. Pure."""
    after = apply_event(view, event)
    details = event.details
    if isinstance(details, RunFinished):
        return after, _run_message(event, after, details.exit)
    if isinstance(details, CheckDone) and not event.cell and not details.passed:
        what = f"{details.name} in {details.repo}"
        why = headline(details.detail)[:LONGEST]
        text = f"{event.feature}: cross check {what} is red: {why}"
        return after, _make_message("failed", event, text, f"orchestr status {event.feature}",
                               reason=why, state="failed")  # fmt: skip
    if not event.cell:
        return after, None
    old, new = view.cell(event.cell), after.cell(event.cell)
    kind = NEWS.get(new.state)
    if kind is None or old.state is new.state:
        return after, None
    if new.state is CellState.APPROVAL and not asks_for_approval(new):
        return after, None  # it stands behind the one that asks
    return after, _cell_message(kind, event, new)


def _run_message(event: Event, view: FeatureView, code: float | None) -> dict[str, Any] | None:
    """The news of a run's end. None where there is none: nothing was made, a person stopped it, or
    it only waits for an approval, which has its own message."""
    states = [cell.state for cell in view.cells.values()]
    command = f"orchestr status {event.feature}"
    if code == ExitCode.DONE:
        if not any(cell.run == event.run for cell in view.cells.values()):
            return None
        landed = CellState.LANDED in states
        text = f"{event.feature}: {'landed' if landed else 'done'}"
        return _make_message("done", event, text, command, **end_fields(view, int(code)))
    waits = CellState.APPROVAL in states and not any(state.is_bad for state in states)
    if code != ExitCode.FAILED or waits:
        return None
    fields = end_fields(view, int(ExitCode.FAILED))
    counted = ", ".join(f"{n} {CellState(state).label}" for state, n in fields["counts"].items())
    text = f"{event.feature}: the run ended with exit {int(code)}: {counted}"
    return _make_message("failed", event, text, command, state="failed", **fields)


def end_fields(view: FeatureView, code: int) -> dict[str, Any]:
    """What the news of an end has besides: how many cells are in which state, the addresses of the
    pull requests, the exit code, and where the report is, once it is there."""
    cells = list(view.cells.values())
    found = Counter(cell.state.value for cell in cells)
    states = sorted(CellState, key=lambda state: not state.counts_as_done)
    urls = dict.fromkeys(cell.pr_url for cell in cells if cell.pr_url)
    return {
        "counts": {state.value: found[state.value] for state in states if found[state.value]},
        "prs": [url for url in urls if url != NO_PR],
        "exit": code,
        "report": None,
    }


def _cell_message(kind: str, event: Event, cell: CellView) -> dict[str, Any]:
    name = f"{event.feature}:{cell.name}"
    why = headline(cell.reason)[:LONGEST]
    where = f" in {cell.phase}" if cell.phase and kind == "failed" else ""
    text = f"{name}: {cell.state.label}{where}" + (f": {why}" if why else "")
    command = "approve" if cell.state is CellState.APPROVAL else "explain"
    return _make_message(
        kind, event, text, f"orchestr {command} {name}", cell=cell.name, state=cell.state.value,
        phase=cell.phase, attempt=cell.attempt, reason=why, agent=cell.agent,
        until=cell.waiting_until, pr=cell.pr_url, cost_known_usd=cell.cost_known_usd,
    )  # fmt: skip


def _make_message(kind: str, event: Event, text: str, command: str, **more: Any) -> dict[str, Any]:
    return {
        "v": 1,
        "kind": kind,
        "ts": event.ts,
        "run": event.run,
        "feature": event.feature,
        "text": text,
        "next": command,
        **more,
    }


class Notifier(Progress):
    """Feed it every event of a run; from any thread, never raises, never waits."""

    def __init__(self, runs: Sequence[FeatureRun]) -> None:
        self._settings: NotifySettings = runs[0].settings.notify
        self._root = runs[0].layout.root
        self._views = {run.feature.name: run.past for run in runs}
        self._lock = threading.Lock()
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(MOST)
        self._secrets = secret_values(os.environ)
        self._warned = False
        self._limits: set[tuple[str | None, str]] = set()
        self._ends: list[dict[str, Any]] = []  # news of the end, which name the report
        self._report: Path | None = None
        self._thread: threading.Thread | None = None
        if self._settings.is_enabled:
            self._thread = threading.Thread(
                target=self._deliver_messages, name="notify", daemon=True
            )
            self._thread.start()

    def show_event(self, event: Event) -> None:
        """Queue what there is to tell."""
        if self._thread is None or event.feature not in self._views:
            return
        with self._lock:
            self._views[event.feature], message = derive_message(self._views[event.feature], event)
        if message is not None and "report" in message:
            self._ends.append(message)
        elif message is not None:
            self._queue_message(message)

    def add_report(self, path: Path) -> None:
        """Name the report in the news of the end, which are sent when this is closed."""
        self._report = path

    def _queue_message(self, message: dict[str, Any]) -> None:
        if self._thread is None or message["kind"] not in self._settings.on:
            return
        if message["kind"] == "waiting":  # a limit stops all cells of an agent: told once
            limit = (message["agent"], (message["until"] or "")[:16])
            if limit in self._limits:
                return
            self._limits.add(limit)
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            self._warn_once("there is more news than can be sent; some is left out")

    def show_landing(self, run: FeatureRun, verb: str, done: int, left: Sequence[str]) -> None:
        """Queue the outcome of a landing; ``left`` says of each change why it did not land.

        What ended well within a `run` is told by the end of that run.
        """
        if not left and self._views[run.feature.name].run == run.id:
            return
        name = run.feature.name
        text = f"{name}: {verb}" if not left else f"{name}: {done} {verb}, {len(left)} not"
        why = "; ".join(headline(one) for one in left)[:LONGEST]
        event = Event(EventKind.LAND_QUEUE, utc_timestamp(), run.id, name)
        more = {"reason": why, "state": "failed"} if left else {}
        code = ExitCode.FAILED if left else ExitCode.DONE
        self._ends.append(
            _make_message("failed" if left else "done", event, f"{text}: {why}" if why else text,
                          f"orchestr status {name}", **more,
                          **end_fields(self._views[name], int(code)))
        )  # fmt: skip

    def close(self) -> None:
        """Send the news of the end and what is queued, for as long as one message may take."""
        for message in self._ends:
            shown = str(self._report) if self._report is not None else None
            self._queue_message({**message, "report": shown})
        self._ends = []
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with suppress(queue.Full):
            self._queue.put_nowait(None)
        thread.join(self._settings.timeout + 1)
        if thread.is_alive():
            self._warn_once("not all news could be sent before the end of the run")

    def _deliver_messages(self) -> None:
        while (message := self._queue.get()) is not None:
            body = redact(json.dumps(message, ensure_ascii=False), self._secrets).encode()
            try:
                if self._settings.command:
                    self._run_command(body)
            except Exception as error:  # whatever it is: a run is worth more than its news
                self._warn_once(f"command {self._settings.command[0]!r}: {_error_headline(error)}")
            try:
                if self._settings.url:
                    post_json(self._settings.url, body, self._settings.timeout)
            except Exception as error:
                # The address may be a secret itself; its host is enough to find it.
                host = urlsplit(self._settings.url or "").hostname
                self._warn_once(f"{host}: {type(error).__name__}: {_error_headline(error)}")

    def _run_command(self, body: bytes) -> None:
        env: Mapping[str, str] = filter_env(os.environ, (*ALLOWED, *self._settings.pass_env))
        run_process(
            self._settings.command, cwd=self._root, env=env, timeout=self._settings.timeout,
            input=body, limit=64 << 10, kill_left=True,
        )  # fmt: skip

    def _warn_once(self, why: str) -> None:
        """Once a run; the next failures would say the same."""
        if not self._warned:
            self._warned = True
            text = redact(clean_line(why), self._secrets | {self._settings.url or ""})
            print_stderr(f"warning: [notify] {text} (the run goes on; told once)")


def post_json(url: str, body: bytes, timeout: float) -> None:
    """POST JSON. Raises what urllib raises, and OSError for an answer but 2xx or a late one."""
    import urllib.request

    class NoRedirectHandler(urllib.request.HTTPRedirectHandler):
        """A redirect would take the news elsewhere, without its body."""

        def redirect_request(self, *_: Any, **__: Any) -> None:
            return None

    headers = {"Content-Type": "application/json", "User-Agent": "orchestr"}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    begun = time.monotonic()
    with urllib.request.build_opener(NoRedirectHandler).open(request, timeout=timeout) as answer:
        answer.read(1 << 16)
    if time.monotonic() - begun > timeout:
        raise TimeoutError(f"no whole answer within {timeout:g} s")


def _error_headline(error: Exception) -> str:
    text = error.message if isinstance(error, OrchestrError) else str(error)
    return headline(text)[:200]
