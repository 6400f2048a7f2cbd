"""What a synthetic set is written in: files of the base, and edits of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Edit:
    """Put ``new`` in the place of ``old``, which the file has exactly once; ``old`` "": append, or
    make the file.
    """

    path: str
    new: str
    old: str = ""

    def write(self, root: Path) -> None:
        """Do it below a folder."""
        path = root / self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text() if path.exists() else ""
        assert not self.old or text.count(self.old) == 1, f"{self.path}: {self.old!r}"
        path.write_text(text.replace(self.old, self.new) if self.old else text + self.new)


@dataclass(frozen=True, slots=True)
class Made:
    """A repository's files and patches by name. ``check``: a shell command with PYTHON for the
    interpreter. ``union``: patterns of the files that may keep both sides' lines.
    """

    files: Mapping[str, str]
    patches: Mapping[str, tuple[Edit, ...]]
    check: str
    union: tuple[str, ...] = ("tests/**",)


def add_change(line: str) -> Edit:
    """A new first entry of the changelog, where every other patch has its own."""
    return Edit("CHANGELOG.md", f"{UNRELEASED}- {line}\n", UNRELEASED)


UNRELEASED = "## Unreleased\n\n"
CHANGELOG = f"# Changes\n\n{UNRELEASED}- A first version.\n"
