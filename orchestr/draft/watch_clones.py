"""Where there is no sandbox: whether the clones are as they were before a draft's agent read.

It has clones of its own to read, so a main clone that differs afterwards was changed beside it: by
a person, or by an agent that did not keep to reading. Which of the two cannot be known, so it is a
warning. Looks at HEAD and at what is uncommitted; branches move when other features are built.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from orchestr.draft.files import digest_bytes
from orchestr.errors import CorruptState, OrchestrError
from orchestr.files import read_json, write_atomic
from orchestr.git.repo import Repo
from orchestr.settings.records import Settings
from orchestr.settings.repo_paths import repo_path

PICTURE = "clones.json"  # in the folder of a draft's attempt


def picture_clones(settings: Settings, names: Sequence[str], folder: Path) -> None:
    """Write down how the clones are, once, before the first start."""
    place = folder / PICTURE
    if not place.exists():
        write_atomic(place, json.dumps(_read_states(settings, names)).encode())


def list_changed_clones(settings: Settings, names: Sequence[str], folder: Path) -> list[str]:
    """The repositories whose clone is another than in the picture, each named once."""
    try:
        before = read_json(folder / PICTURE)
    except CorruptState:
        before = None
    before = before if isinstance(before, dict) else {}
    now = _read_states(settings, names)
    changed = [name for name in names if name in before and before[name] != now[name]]
    if changed:
        write_atomic(folder / PICTURE, json.dumps(now).encode())
    return changed


def _read_states(settings: Settings, names: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in names:
        repo = Repo(repo_path(settings, name))
        try:
            status = repo.run_readonly("status", "--porcelain", "-z").out
            found[name] = digest_bytes(f"{repo.head()} {repo.head_branch()}".encode() + status)
        except OrchestrError:
            found[name] = ""
    return found
