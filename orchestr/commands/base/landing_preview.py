"""What a landing would do, shown without doing it."""

from __future__ import annotations

import re
from dataclasses import replace

from orchestr.cell.ownership import format_paths
from orchestr.errors import ExitCode
from orchestr.landing import changes
from orchestr.landing.candidates import TargetReplaced, describe_resolutions
from orchestr.landing.events import CandidateSpec, Event, Stage
from orchestr.landing.land import Lander
from orchestr.landing.pipeline import order_changes
from orchestr.landing.queue import find_obstacle
from orchestr.landing.rung import UNSEEN
from orchestr.views.terminal.landing import LandingRow, name_change, preview_text
from orchestr.views.terminal.output import write_stdout


def print_preview(lander: Lander) -> int:
    """The order and the conflicts, found by making the candidates; nothing is checked, moved or
    journalled.
    """
    lander.book = _NullJournal()  # type: ignore[assignment]
    lander.begin_landing()
    queue = lander.queue
    tips = dict(queue.tips)
    mine = [i for i in queue.items.values() if not i.frozen and i.stage is not Stage.LANDED]
    places = {item.change.key: n for n, item in enumerate(order_changes(queue))}
    mine.sort(key=lambda i: (places.get(i.change.key, len(places)), i.change.order))
    many = len(lander.runs) > 1
    rows = []
    for item in mine:
        change = item.change
        row = LandingRow(name_change(change.key, many=many), str(change.lane), "ready")
        why = find_obstacle(queue, item) if item.stage is Stage.WAITING else None
        if why:
            rows.append(replace(row, state="waiting", why=replace_change_keys(why, many)))
            continue
        spec = CandidateSpec(change.lane, ((change.key, change.head),), tips[change.lane])
        try:
            built = changes.assemble_candidate(lander, spec)
        except TargetReplaced as error:
            rows.append(replace(row, state="waiting", why=error.message, hint=error.hint or ""))
            continue
        if built.commit is None:
            why = f"conflicts in {format_paths(built.conflicts)}"
            rows.append(replace(row, state="conflict", why=why))
            continue
        needs = not change.reverts and built.rung.needs_check
        if needs and not lander.cell_context(change.key).has_landing_checks:
            paths = format_paths([path for _, path in built.resolved])
            why = f"conflicts in {paths}, and {UNSEEN}"
            rows.append(replace(row, state="conflict", why=why))
            continue
        tips[change.lane] = built.commit
        how = ", by ".join(describe_resolutions(built.resolved))
        commit = "" if built.commit == spec.base else built.commit
        rows.append(replace(row, commit=commit, resolved=how))
    write_stdout(preview_text(rows, undo=lander.undo))
    return int(ExitCode.FAILED if any(row.state != "ready" for row in rows) else ExitCode.DONE)


class _NullJournal:
    def append(self, event: Event) -> None:
        """A preview writes nothing down."""


def replace_change_keys(text: str, many: bool) -> str:
    """A reason with the keys of other changes as people write them."""
    return re.sub(
        r"^it (needs|waits for) ([^\s,]+),",
        lambda m: f"it {m[1]} {name_change(m[2], many=many)},",
        text,
    )
