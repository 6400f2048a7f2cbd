"""Let a structural merge program resolve a file, where one is installed: mergiraf.

It knows more languages by their grammars than we do. It is asked for one file at a time, in a
folder of its own, with a home of its own (it keeps records of its attempts) and a time limit. What
it answers is looked at as any other merge (`orchestr.landing.resolve.verify`): it must have no
markers, lose nothing, and define no name twice.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath

from orchestr.errors import OrchestrError
from orchestr.landing.resolve.definitions import defines_twice
from orchestr.landing.resolve.languages import find_language
from orchestr.landing.resolve.texts import ThreeTexts
from orchestr.landing.resolve.tree import Refused
from orchestr.landing.resolve.verify import verify_merge
from orchestr.process.run import run_command

PROGRAM = "mergiraf"
TIME_LIMIT = 20.0  # seconds for one file
_SIDES = ("base", "ours", "theirs")


def merge_with_tool(texts: ThreeTexts, *, timeout: float = TIME_LIMIT) -> str | None:
    """What the program makes of a file; None: it is not installed, does not know the file's kind,
    takes too long, leaves a conflict, or its answer cannot be right.
    """
    program = find_merge_tool()
    if program is None:
        return None
    with tempfile.TemporaryDirectory(prefix="orchestr-mergiraf-") as name:
        folder = Path(name)
        for side, text in zip(_SIDES, texts.versions, strict=True):
            (folder / side).write_text(text, encoding="utf-8", newline="\n")
        # its own limit falls back to lines; ours is the one that counts
        command = [program, "merge", "--timeout", "0", "--output", str(folder / "merged")]
        command += ["--path-name", PurePosixPath(texts.path).name]
        command += [str(folder / side) for side in _SIDES]
        env = {"HOME": name, "XDG_CACHE_HOME": name, "PATH": os.environ.get("PATH", os.defpath)}
        try:
            done = run_command(
                command, cwd=folder, env=env, timeout=timeout, check=False, kill_left=True
            )
            if done.code != 0:
                return None
            merged = (folder / "merged").read_bytes().decode()
            verify_merge(texts, merged, find_language(texts.path))
        except (OrchestrError, OSError, UnicodeDecodeError, Refused):
            return None
    versions = (text.split("\n") for text in texts.versions)
    return None if defines_twice(merged.split("\n"), versions) else merged


def find_merge_tool() -> str | None:
    """Where the program is; None: it is not installed."""
    return shutil.which(PROGRAM)
