"""Kind `browser_journey`: a program drives a browser and leaves evidence.

Each glob of ``evidence`` must find a new file with something in it, whatever the exit code says
(row E92). The program may write to the worktree or, better, to $ORCHESTR_ARTEFACTS. Files whose
names it prints are kept too.
"""

from __future__ import annotations

import re
from pathlib import Path

from orchestr.checks.base import Failure, Verdict, decide, shown
from orchestr.checks.room import Room, fresh, stamps
from orchestr.checks.runner import Runner
from orchestr.spec.checks import BrowserJourneyCheck

_PRINTED = re.compile(rb"[\w./@+-]+\.(?:png|jpe?g|webp|gif|webm|mp4|zip|har|html|json|txt)\b")
MOST_PRINTED = 50


class BrowserJourney(Runner[BrowserJourneyCheck]):
    """One journey; used for screenshots, too."""

    def judge(self, room: Room) -> Verdict:
        wanted = self._definition
        before = stamps(room.find(wanted.evidence))
        done = room.run(wanted.run)
        found, old = fresh(room.find(wanted.evidence), before)
        there = {glob: [p for p in paths if p.stat().st_size] for glob, paths in found.items()}
        lacking = [glob for glob, paths in there.items() if not paths]
        files = [path for paths in there.values() for path in paths]
        kept, left = room.keep([*files, *_printed(room, done.out)])
        detail = decide(done)
        if lacking:
            detail += f"; no evidence was written: {', '.join(lacking)}"
            if old:
                detail += f" ({old} of an earlier run do not count)"
        detail = "; ".join([detail, *left])
        if done.code == 0 and not lacking:
            return Verdict(True, detail, artefacts=kept, exit=0)
        failure = Failure(wanted.name, message=room.tail(), command=shown(wanted.run))
        return Verdict(False, detail, (failure,), kept, done.code)


def _printed(room: Room, out: bytes) -> list[Path]:
    """Files inside the worktree or the artefacts whose names were printed (row E92)."""
    homes = (room.worktree.resolve(), room.artefacts.resolve())
    found: dict[Path, None] = {}
    for match in _PRINTED.finditer(out):
        path = (room.cwd / match[0].decode("ascii", "replace")).resolve()
        if path.is_file() and any(path.is_relative_to(home) for home in homes):
            found[path] = None
        if len(found) >= MOST_PRINTED:
            break
    return list(found)
