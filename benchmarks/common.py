"""What every benchmark shares: a scratch workspace, repeated timing, a table, JSON.

Figures are taken inside one run on one machine; where it makes sense they are ratios against a
reference that is measured right beside them.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
GIT_ENV = {
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@localhost",
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@localhost",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def environment() -> dict[str, str]:
    """The environment of every measured program."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORCHESTR_", "GIT_"))}
    return {**kept, **GIT_ENV, "PYTHONPATH": str(Path(__file__).parent.parent)}


def git(*words: str, cwd: Path) -> str:
    """Run git for the preparation of a benchmark."""
    done = subprocess.run(
        ["git", *words], cwd=cwd, env=environment(), check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def orchestr(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the program as a user does."""
    argv = [sys.executable, "-m", "orchestr", *words]
    return subprocess.run(
        argv, cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )


def seconds(action: Callable[[], Any], times: int = 5) -> float:
    """The median wall time of an action."""
    return statistics.median(_once(action) for _ in range(times))


def _once(action: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def report(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table and write `results/<name>.json`."""
    columns = list(rows[0])
    texts = [[_text(row[c]) for c in columns] for row in rows]
    widths = [max(len(c), *(len(t[i]) for t in texts)) for i, c in enumerate(columns)]
    print(f"\n{name}")
    for line in [columns, *texts]:
        print(
            "  " + "  ".join(word.ljust(w) for word, w in zip(line, widths, strict=True)).rstrip()
        )
    RESULTS.mkdir(exist_ok=True)
    value = {
        "name": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(),
                    "system": platform.system()},
        "rows": list(rows),
    }  # fmt: skip
    (RESULTS / f"{name}.json").write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _text(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
