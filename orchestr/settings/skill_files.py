"""Skills for the user's own agent (`orchestr init --skill`), in the form that agents read.

One source for all: `orchestr/settings/skills/`, which `plugin/skills` links to. A skill is a folder
with a `SKILL.md`; Claude Code looks in `.claude/skills/`, Codex and the agents that follow the
open form look in `.agents/skills/`.

The last line of a file that is written here has the digest of what stands before it: so a later
version replaces a text that is unchanged, and a person's text stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from orchestr.errors import OrchestrError
from orchestr.files import write_atomic

FOLDERS = {"claude": ".claude/skills", "agents": ".agents/skills"}
FILE = "SKILL.md"
_SOURCE = files("orchestr.settings") / "skills"
_STAMP = re.compile(rb"<!-- written by orchestr init --skill; sha256 ([0-9a-f]{64}) -->\n\Z")


class SkillStep(StrEnum):
    """What becomes of one file."""

    MAKE = "made"
    UPDATE = "updated"
    KEEP = "kept"  # a person changed it, or wrote it
    REPLACE = "replaced"  # on purpose; the person's text is kept beside
    SAME = "same"


@dataclass(frozen=True, slots=True)
class SkillFile:
    """What was done about one file: ``path`` is relative to the folder, ``copy`` where the
    person's text is now."""

    path: str
    step: SkillStep
    copy: str = ""


def list_skills() -> dict[str, bytes]:
    """Every skill by its name."""
    found = sorted((one for one in _SOURCE.iterdir() if one.is_dir()), key=lambda one: one.name)
    return {one.name: (one / FILE).read_bytes() for one in found}


def stamp_skill(text: bytes) -> bytes:
    """The file of a skill: its text, and the line by which a change of it is seen."""
    line = f"<!-- written by orchestr init --skill; sha256 {sha256(text).hexdigest()} -->\n"
    return text + line.encode()


def decide_step(current: bytes | None, wanted: bytes, *, force: bool) -> SkillStep:
    """Pure: what becomes of a file that holds ``current`` (None: it is not there)."""
    if current is None:
        return SkillStep.MAKE
    if current == wanted:
        return SkillStep.SAME
    found = _STAMP.search(current)
    if found is not None and sha256(current[: found.start()]).hexdigest() == found[1].decode():
        return SkillStep.UPDATE
    return SkillStep.REPLACE if force else SkillStep.KEEP


def write_skills(root: Path, reader: str, *, force: bool = False) -> list[SkillFile]:
    """Write the skills for ``reader``, a key of `FOLDERS`, below ``root``.

    A link of a repository may lead anywhere; nothing is written outside ``root``. Raises
    OrchestrError then, and when the disk refuses.
    """
    done = []
    for name, text in list_skills().items():
        shown = f"{FOLDERS[reader]}/{name}/{FILE}"
        path, wanted = root / shown, stamp_skill(text)
        real = path.resolve()
        if not real.is_relative_to(root.resolve()):
            raise OrchestrError(
                f"{shown} leads out of the folder, to {real}",
                hint="remove that link, or name the folder that it leads to:"
                f" orchestr init --skill {reader} FOLDER",
            )
        try:
            current = path.read_bytes() if path.exists() else None
            step = decide_step(current, wanted, force=force)
            copy = ""
            if step is SkillStep.REPLACE and current is not None:
                copy = f"{shown}.edited-{sha256(current).hexdigest()[:8]}"
                write_atomic(root / copy, current)
            if step not in (SkillStep.KEEP, SkillStep.SAME):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, wanted)
        except OSError as error:
            raise OrchestrError(
                f"cannot write {error.filename or path}: {error.strerror}",
                hint="make the folder writable, then run `orchestr init` again",
            ) from error
        done.append(SkillFile(shown, step, copy))
    return done
