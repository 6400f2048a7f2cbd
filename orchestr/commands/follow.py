"""`follow [FEATURE ...]`: what happens at open pull requests becomes work, bounded."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from orchestr.cell.context import FeatureRun
from orchestr.commands.base.options import JSON, YES, flag_option, read_duration, value_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode
from orchestr.follow.decide import Rest
from orchestr.run.follow_loop import Follower, FollowOptions, LookResult, list_followed
from orchestr.run.notify import Notifier
from orchestr.run.start import paid_agents
from orchestr.run.workspace import Session
from orchestr.state.events import Event
from orchestr.views.live.plain import PlainProgress
from orchestr.views.terminal.follow import describe_look
from orchestr.views.terminal.output import confirm_reasons, print_stderr, write_stdout

ONCE = flag_option("once", "one look and what comes of it, then the end (for cron and CI)")
FOR = value_option("for", "stop after this time, e.g. 8h")


class Follow(PlainVerb):
    """Follows features over their repositories until every pull request is merged or closed."""

    doc_purpose = "bring open pull requests to a merge: red CI, comments, conflicts"
    doc_usage = "[FEATURE ...]"
    help_group = "land"
    examples = (
        ("follow", "every feature with an open pull request, until all are merged"),
        ("follow mlkem --once", "one look, what comes of it, the answers"),
        ("follow mlkem --for 8h", "through the night"),
    )
    cmd_options = (ONCE, FOR, YES, JSON)

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """ExitCode 1 when a person is needed, or a build failed."""
        seconds = read_duration(params, "for", "8h, 45m")
        options = FollowOptions(list_followed(session, args), bool(params["once"]), seconds)
        return follow_features(session, options, yes=params["yes"], as_json=params["json"])


def follow_features(
    session: Session, options: FollowOptions, *, yes: bool, as_json: bool = False
) -> int:
    """Follow, after a question where it may cost money. The exit code."""
    names = options.features or tuple(sorted(session.specs.features))
    if not confirm_following([session.load_run(name) for name in names], yes=yes):
        return int(ExitCode.DONE)
    with EventPrinter() as printer:
        follower = Follower(
            session.root, options, lambda result: show_result(result, as_json=as_json),
            lambda text: print_stderr(f"warning: {text}"), printer.listen_to,
        )  # fmt: skip
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: follower.stop.set())
        return int(follower.look_until_done())


class EventPrinter:
    """Prints what happens in the looks, and sends the news of it: one sender for each feature."""

    def __init__(self) -> None:
        self._senders: dict[str, Notifier] = {}
        self._stack = ExitStack()

    def __enter__(self) -> EventPrinter:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def listen_to(self, run: FeatureRun) -> None:
        """Print and send the events of a run from now on."""
        name = run.feature.name
        if name not in self._senders:
            self._senders[name] = self._stack.enter_context(Notifier([run]))
        progress, sender = PlainProgress([run.plan], sys.stderr), self._senders[name]

        def listen(event: Event) -> None:
            progress.show_event(event)
            sender.show_event(event)

        run.listener = listen


def confirm_following(runs: Sequence[FeatureRun], *, yes: bool) -> bool:
    """Ask before paid agents may start or a real forge is written to."""
    reasons = []
    for run in runs:
        paid = paid_agents(run, [cell.name for cell in run.feature.cells])
        if paid:
            reasons.append(f"It may start agents that cost money: {', '.join(sorted(paid))}.")
        if run.forge.real:
            reasons.append(f"It pushes, answers and sets statuses at {run.forge.kind}.")
    return yes or not reasons or confirm_reasons(reasons)


def show_result(result: LookResult, *, as_json: bool) -> None:
    """One look, as a table or as one line of JSON."""
    features = {name: rows_of(name, result) for name in result.features}
    if as_json:
        value = {"at": result.at, "features": features, "skipped": result.skipped,
                 "away": result.away, "points": result.points}  # fmt: skip
        sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    ready = [name for name, look in result.features.items() if look.is_ready]
    write_stdout(describe_look(result.at, features, result.skipped, result.away, ready))
    sys.stdout.flush()


def rows_of(feature: str, result: LookResult) -> list[dict[str, Any]]:
    """The cells of a feature with what comes next for each."""
    look = result.features[feature]
    rows = []
    for cell, step in look.steps.items():
        facts = look.facts.get(cell)
        rest = step if isinstance(step, Rest) else None
        rows.append({
            "cell": cell,
            "state": rest.state if rest else "work",
            "step": type(step).__name__.lower(),
            "why": step.why,
            "hint": rest.hint.replace("CELL", f"{feature}:{cell}") if rest else "",
            "url": facts.pr.url if facts is not None else None,
        })  # fmt: skip
    return rows
