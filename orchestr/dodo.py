"""For a workspace's `dodo.py`: `from orchestr.dodo import *` makes plain `doit` know the features.

Our verbs replace doit's through entry points and bring their own loader; `task_feature` serves
doit's other commands (completion, dumpdb).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from doit.task import Task

__all__ = ["DOIT_CONFIG", "ORCHESTR_TASKS", "task_feature"]

ORCHESTR_TASKS = True
DOIT_CONFIG = {
    "default_tasks": [],
    "backend": "orchestr",
    "dep_file": str(Path.cwd() / ".doit.db"),
    "verbosity": 2,
}


def task_feature() -> Iterator[Task]:
    """Every feature, its cells and their phases."""
    from orchestr.run.workspace import Session
    from orchestr.tasks.loader import FeatureTaskLoader

    yield from FeatureTaskLoader(Session.from_cwd).load_tasks(None, [])
