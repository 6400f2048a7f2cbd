"""What all parts of the stub share: names, refusals, faults, git."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GH = shutil.which("gh")
NO_GH = "GitHub's gh is not installed (apt-get install gh)"
HOST = "github.localhost"
LOGS = "store.example.test"  # where GitHub sends those who ask for a job's log
TOKEN = "gho_fakeFakeFake0123456789"
SHA = re.compile(r"[0-9a-f]{40}")
ME = "tess"  # whose login gh has
Row = dict[str, Any]


class Refusal(Exception):
    """An answer that is not 2xx: status, message, the list of errors."""

    def __init__(self, status: int, message: str, *errors: Mapping[str, str]) -> None:
        super().__init__(message)
        self.status = status
        self.headers: dict[str, str] = {}
        self.body = {"message": message, **({"errors": list(errors)} if errors else {})}


def invalid(told: str) -> Refusal:
    """422 in words of its own."""
    error = {"resource": "PullRequest", "code": "custom", "message": told}
    return Refusal(422, "Validation Failed", error)


@dataclass
class Fault:
    """``times`` requests whose kind begins with ``kind`` end so. ``late``: carried out first."""

    status: int  # 0: the connection is dropped
    times: int
    kind: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    late: bool = False


def git(bare: Path, *args: str) -> str:
    """git in an origin, "" when it fails. What commits alone decide is asked once: a stub looks at
    its branches at every request."""
    key = (str(bare), *args)
    if key in _decided:
        return _decided[key]
    done = subprocess.run(
        ["git", "-C", str(bare), *args], capture_output=True, text=True, check=False
    )
    said = done.stdout.strip() if done.returncode == 0 else ""
    words = [word for word in args[1:] if not word.startswith("-")]
    is_decided = args[0] in _OF_COMMITS and all(_COMMIT.fullmatch(word) for word in words)
    if is_decided and done.returncode in (0, 1):  # 1: `merge-tree` found a conflict
        _decided[key] = said
    return said


_OF_COMMITS = ("merge-tree", "rev-list", "merge-base")
_COMMIT = re.compile(r"\^?[0-9a-f]{40}")
_decided: dict[tuple[str, ...], str] = {}


def read_heads(bare: Path) -> dict[str, str]:
    """The branches of an origin and their commits, without a process."""
    found: dict[str, str] = {}
    start = "refs/heads/"
    with suppress(FileNotFoundError):
        for line in (bare / "packed-refs").read_text().splitlines():
            sha, _, ref = line.partition(" ")
            if ref.startswith(start):
                found[ref.removeprefix(start)] = sha
    top = bare / start
    for folder, _, names in os.walk(top):
        for name in names:
            path = Path(folder, name)
            with suppress(FileNotFoundError):  # deleted now
                sha = path.read_text().strip()
                if not name.endswith(".lock") and sha:
                    found[str(path.relative_to(top))] = sha
    return found


def write_ref(bare: Path, ref: str, sha: str) -> None:
    """A ref of the stub's own, without a process."""
    path = bare / ref
    if path.is_file() and path.read_text().strip() == sha:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(f"{sha}\n")
    draft.replace(path)


def is_inside(bare: Path, commit: str, tip: str) -> bool:
    """Whether a commit is reachable from a tip."""
    return git(bare, "rev-list", "-1", commit, f"^{tip}") == ""
