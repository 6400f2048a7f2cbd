"""What all parts of the stub share: names, refusals, faults, git."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
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
    """git in an origin, "" when it fails."""
    done = subprocess.run(
        ["git", "-C", str(bare), *args], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def is_inside(bare: Path, commit: str, tip: str) -> bool:
    """Whether a commit is reachable from a tip."""
    return git(bare, "rev-list", "-1", commit, f"^{tip}") == ""
