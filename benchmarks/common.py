"""What every benchmark shares: scratch folders, repositories, tables, JSON, figures and targets.

Figures are taken inside one run on one machine, as ratios against a reference that is measured
right beside them (`benchmarks.measure`). The load of the machine before and after goes into the
JSON: an absolute figure from a busy machine means little, a ratio more.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parent.parent
GIT_ENV = {
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@localhost",
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@localhost",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
SETTINGS = """\
[workspace]
repos = "."

[agents.scripted]
kind = "command"
run = ["sh", "{root}/agent.sh"]

"""
Row = Mapping[str, Any]
T = TypeVar("T")


class Size(Enum):
    """How much is measured: for docs, for a quick look, or only to see that it works."""

    FULL = "full"
    QUICK = "quick"
    TINY = "tiny"

    def pick(self, full: T, quick: T, tiny: T) -> T:
        """The value that belongs to this size."""
        return {Size.FULL: full, Size.QUICK: quick, Size.TINY: tiny}[self]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure beside its target. ``most`` is the highest value that passes; None: no target."""

    what: str
    value: float
    unit: str = ""
    most: float | None = None

    @property
    def met(self) -> str:
        if self.most is None:
            return "-"
        return "yes" if self.value <= self.most else "NO"

    def row(self) -> dict[str, str]:
        """As one line of the summary."""
        target = "-" if self.most is None else f"{self.most:g} {self.unit}".strip()
        return {"figure": self.what, "measured": f"{short(self.value)} {self.unit}".strip(),
                "target": target, "met": self.met}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with the same columns, under a name."""

    name: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Found:
    """What a benchmark found. ``notes`` are sentences below its tables."""

    tables: Sequence[Table]
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()


class Skipped(Exception):
    """A benchmark cannot run here; the message says what is missing."""


def results() -> Path:
    """Where the JSON goes; `$BENCHMARKS_RESULTS` names another folder."""
    named = os.environ.get("BENCHMARKS_RESULTS")
    return Path(named) if named else Path(__file__).parent / "results"


def load() -> list[float]:
    """The machine's load over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def machine() -> dict[str, Any]:
    """What the figures depend on, without naming the machine."""
    from importlib.metadata import version

    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "git": git("--version", cwd=ROOT).removeprefix("git version "),
        "doit": version("doit"),
    }


def environment(sandbox: str = "none") -> dict[str, str]:
    """The environment of every measured program; Python keeps bytecode, as it does for users.

    What the wall costs is a benchmark of its own (`benchmarks.sandbox`): others are without it.
    """
    ours = ("ORCHESTR_", "GIT_", "NO_COLOR", "PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    wall = {"ORCHESTR_SET_SANDBOX_MODE": sandbox}
    return {**kept, **GIT_ENV, **wall, "PYTHONPATH": str(ROOT)}


def start_quietly(argv: Sequence[str], cwd: Path, sandbox: str = "none") -> subprocess.Popen[bytes]:
    """Start a measured program without input and output."""
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        argv, cwd=cwd, env=environment(sandbox), stdin=quiet, stdout=quiet, stderr=quiet
    )


def git(*words: str, cwd: Path) -> str:
    """Run git for the preparation of a benchmark."""
    return read_git(*words, cwd=cwd).decode().strip()


def read_git(*words: str, cwd: Path) -> bytes:
    """What git prints, byte by byte."""
    return subprocess.run(
        ["git", *words], cwd=cwd, env=environment(), check=True, capture_output=True
    ).stdout


def orchestr(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the program as a user does."""
    argv = [sys.executable, "-m", "orchestr", *words]
    return subprocess.run(
        argv, cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards, below $TMPDIR."""
    folder = Path(tempfile.mkdtemp(prefix="orchestr-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def big_repository(root: Path, files: int, name: str = "big") -> Path:
    """A clone `ROOT/NAME` with a bare origin beside it and ``files`` files (4 KB) in 1,000 folders.

    Written through `git fast-import`, so that 20,000 files take a second.
    """
    bare, clone = root / f"{name}.git", root / name
    git("init", "--quiet", "--bare", "--initial-branch=main", str(bare), cwd=root)
    stream = bytearray(
        b"commit refs/heads/main\ncommitter bench <bench@localhost> 1700000000 +0000\n"
    )
    stream += b"data 5\nfirst\n"
    for n in range(files):
        body = (f"line of file {n}, as long as a line of a program is\n" * 80).encode()
        stream += f"M 100644 inline d{n % 40}/e{n // 40 % 25}/f{n}.txt\n".encode()
        stream += f"data {len(body)}\n".encode() + body + b"\n"
    subprocess.run(["git", "fast-import", "--quiet"], cwd=bare, env=environment(),
                   input=bytes(stream), check=True)  # fmt: skip
    git("clone", "--quiet", str(bare), str(clone), cwd=root)
    return clone


def write_agent(root: Path, script: str, more: str = "") -> None:
    """`agent.sh`, and `orchestr.toml` with it as the agent; ``more`` are further settings."""
    (root / "agent.sh").write_text(script)
    (root / "orchestr.toml").write_text(SETTINGS.format(root=root) + more)


def write_spec(root: Path, cells: Sequence[str]) -> None:
    """`specs/f.yaml`: feature ``f`` of these cells, a YAML mapping each."""
    lines = ["apiVersion: orchestr/v1", "kind: Feature", "metadata: {name: f, title: F}", "cells:"]
    lines += [f"  {cell}" for cell in cells]
    (root / "specs").mkdir()
    (root / "specs" / "f.yaml").write_text("\n".join(lines) + "\n")


def report(name: str, found: Found, size: Size = Size.FULL, before: Sequence[float] = ()) -> None:
    """Print the tables and write `results/NAME.json`."""
    for table in found.tables:
        show(table)
    for note in found.notes:
        print(f"  note: {note}")
    folder = results()
    folder.mkdir(parents=True, exist_ok=True)
    value = {
        "name": name,
        "size": size.value,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "load": {"before": list(before), "after": load()},
        "figures": [{**asdict(figure), "met": figure.met} for figure in found.figures],
        "notes": list(found.notes),
        "tables": {table.name: list(table.rows) for table in found.tables},
    }
    (folder / f"{name}.json").write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def show(table: Table) -> None:
    """Print one table."""
    columns = list(table.rows[0])
    texts = [[short(row[c]) for c in columns] for row in table.rows]
    widths = [max(len(c), *(len(t[i]) for t in texts)) for i, c in enumerate(columns)]
    print(f"\n{table.name}")
    for line in [columns, *texts]:
        words = (word.ljust(w) for word, w in zip(line, widths, strict=True))
        print("  " + "  ".join(words).rstrip(), flush=True)


def short(value: Any) -> str:
    """A value as the tables show it."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.3f}"
