"""Kind `browser_journey`: a program drives a browser and leaves evidence.

Each glob of ``evidence`` must find a new file with something in it, whatever the exit code says:
a journey that shows nothing proves nothing. The program may write to the worktree or, better, to
$ORCHESTR_ARTEFACTS. Files whose names it prints are kept too. With ``start`` a service runs
meanwhile: the program finds its port as BACKEND_PORT and PORT, also in its words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from orchestr.checks.base import CheckVerdict, Failure, describe_exit, quote_command
from orchestr.checks.definition import CheckDefinition
from orchestr.checks.service_fields import (
    ANSWERS,
    ServiceReadiness,
    fill_ports,
    require_start,
    service_environment,
)
from orchestr.spec.fields import Argv, Doc, Globs

if TYPE_CHECKING:
    from orchestr.checks.room import CheckContext
    from orchestr.process.run import CompletedCommand

_PRINTED = re.compile(rb"[\w./@+-]+\.(?:png|jpe?g|webp|gif|webm|mp4|zip|har|html|json|txt)\b")
MOST_PRINTED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserJourneyCheck(CheckDefinition):
    """A program that drives a browser and leaves ``evidence`` (globs); missing evidence fails.

    ``start`` is the application that it looks at, ended afterwards.
    """

    kind: ClassVar[str] = "browser_journey"
    makes_screenshots: ClassVar[bool] = True
    later_fields: ClassVar[tuple[str, ...]] = ("start", "ready")

    run: Annotated[Argv, Doc("what plays the journey", ["npx", "playwright", "test"])]
    evidence: Annotated[Globs, Doc("the pictures that it must make", ["shots/*.png"])]
    start: Annotated[
        Argv, Doc("the application that it looks at, ended afterwards", ["npm", "run", "preview"])
    ] = ()
    ready: Annotated[
        ServiceReadiness, Doc("when the application can be looked at", {"path": "/"})
    ] = ANSWERS

    @classmethod
    def complete_fields(cls, given: dict[str, Any]) -> dict[str, Any]:
        """A service that is waited for is one that is started."""
        require_start(given)
        return given

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        return (self.start, self.run) if self.start else (self.run,)

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        from orchestr.checks.room import select_fresh_files, stamp_files

        before = stamp_files(room.find_files(self.evidence))
        done = self._play_journey(room)
        found, old = select_fresh_files(room.find_files(self.evidence), before)
        there = {glob: [p for p in paths if p.stat().st_size] for glob, paths in found.items()}
        lacking = [glob for glob, paths in there.items() if not paths]
        files = [path for paths in there.values() for path in paths]
        kept, left = room.copy_to_artefacts([*files, *_find_printed_files(room, done.out)])
        detail = describe_exit(done)
        if lacking:
            detail += f"; no evidence was written: {', '.join(lacking)}"
            if old:
                detail += f" ({old} of an earlier run do not count)"
        detail = "; ".join([detail, *left])
        if done.code == 0 and not lacking:
            return CheckVerdict(True, detail, artefacts=kept, exit=0)
        failure = Failure(self.name, message=room.read_log_tail(), command=quote_command(self.run))
        return CheckVerdict(False, detail, (failure,), kept, done.code)

    def _play_journey(self, room: CheckContext) -> CompletedCommand:
        """Run the journey, the application beside it. Raises as `running_service`."""
        if not self.start:
            return room.run_program(self.run)
        from orchestr.checks.service import running_service

        env = service_environment(room)
        argv, words = ([fill_ports(w, env) for w in one] for one in (self.start, self.run))
        port = int(env["PORT"]) if env["PORT"].isdecimal() else None
        base = f"http://127.0.0.1:{env['PORT']}"
        with running_service(room, argv, env, base, port, self.ready):
            return room.run_program(words, env=env)


def _find_printed_files(room: CheckContext, out: bytes) -> list[Path]:
    """Files inside the worktree or the artefacts whose names were printed."""
    homes = (room.worktree.resolve(), room.artefacts.resolve())
    found: dict[Path, None] = {}
    for match in _PRINTED.finditer(out):
        path = (room.cwd / match[0].decode("ascii", "replace")).resolve()
        if path.is_file() and any(path.is_relative_to(home) for home in homes):
            found[path] = None
        if len(found) >= MOST_PRINTED:
            break
    return list(found)
