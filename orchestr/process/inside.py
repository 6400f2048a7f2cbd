"""Whether this process was started inside an attempt: by an agent, a reviewer, a check, a set-up.

Whatever those start carries `ORCHESTR_INSIDE` in the environment that it was started with. A
program can clear its own environment, but not that of its parents: so all ancestors are asked. A
process that lost its parent belongs to the supervisor of its agent. That one hides its environment,
and carries the variable as a word of its command line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestr.process.tree import read_command_line, read_environ, read_parent

INSIDE = "ORCHESTR_INSIDE"
DEEPEST = 200  # ancestors that are asked


@dataclass(frozen=True, slots=True)
class Surrounding:
    """Which work a process belongs to. ``cell`` is `FEATURE/CELL`, ``role`` is for messages."""

    root: str
    state: str
    cell: str
    role: str
    attempt: int = 0

    def is_in_workspace(self, root: Path, state: Path) -> bool:
        """Whether the work belongs to the workspace ``root``, or shares its state."""
        places = {os.path.realpath(self.root), os.path.realpath(self.state)}
        return bool(places & {os.path.realpath(root), os.path.realpath(state)})


def mark_inside(surrounding: Surrounding) -> dict[str, str]:
    """The variable for the environment of what is started for that work."""
    return {INSIDE: json.dumps(asdict(surrounding))}


def find_surrounding() -> Surrounding | None:
    """The work that this process or one of its ancestors was started for; None: a person's."""
    found = _parse(os.environ)
    pid = os.getppid()
    for _ in range(DEEPEST):
        if found is not None or pid <= 1:
            break
        found = _parse(read_environ(pid)) or _parse_words(read_command_line(pid))
        pid = read_parent(pid)
    return found


def mark_command_line(environ: Mapping[str, str]) -> list[str]:
    """The word for the command line of a process that hides its environment; none without one."""
    return [f"{INSIDE}={environ[INSIDE]}"] if INSIDE in environ else []


def _parse_words(words: Sequence[str]) -> Surrounding | None:
    values = [word.removeprefix(f"{INSIDE}=") for word in words if word.startswith(f"{INSIDE}=")]
    return _parse({INSIDE: values[0]}) if values else None


def _parse(environ: Mapping[str, str]) -> Surrounding | None:
    text = environ.get(INSIDE)
    if not text:
        return None
    try:
        return Surrounding(**json.loads(text))
    except (ValueError, TypeError):
        return None
