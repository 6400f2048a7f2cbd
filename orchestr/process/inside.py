"""Whether this process was started inside an attempt: by an agent, a reviewer, a check, a set-up.

Whatever those start carries `ORCHESTR_INSIDE` in the environment that it was started with. A
program can clear its own environment, but not that of its parents: so all ancestors are asked. A
process that lost its parent belongs to the supervisor of its agent, which carries it, too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestr.process.tree import read_environ, read_parent

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
        found = _parse(read_environ(pid))
        pid = read_parent(pid)
    return found


def _parse(environ: Mapping[str, str]) -> Surrounding | None:
    text = environ.get(INSIDE)
    if not text:
        return None
    try:
        return Surrounding(**json.loads(text))
    except (ValueError, TypeError):
        return None
