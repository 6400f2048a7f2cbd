"""Attempts for the tests: a folder, an agent that is a small script, and what came of it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from orchestr.process.run import find_marked, kill_marked
from orchestr.supervisor import client

PATIENCE = 30.0


def eventually(what: Callable[[], Any], *, patience: float = PATIENCE) -> Any:
    """Poll until it is true; the value. Fails when it never is."""
    end = time.monotonic() + patience
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


class Attempt:
    """One attempt of one scripted agent."""

    def __init__(self, folder: Path) -> None:
        self.dir = folder / "attempts" / "1"
        self.dir.mkdir(parents=True)
        self.work = folder / "work"
        self.work.mkdir()
        self.marker = f"test/{secrets.token_hex(6)}"
        self.children: list[subprocess.Popen[bytes]] = []

    def launch(self, argv: list[str], **changes: Any) -> None:
        """Write launch.json as the engine does, by hand: the contract is the file."""
        env = {"PATH": os.environ["PATH"], "ORCHESTR_ATTEMPT_ID": self.marker}
        launch = {
            "argv": argv,
            "cwd": str(self.work),
            "env": env,
            "stdin": None,
            "format": "lines",
            "timeout": 60,
            "idle_timeout": 60,
            "after_result": 60,
            "grace": 0.3,
            "marker": self.marker,
        }
        (self.dir / "launch.json").write_text(json.dumps(launch | changes))

    def sh(self, script: str, **changes: Any) -> None:
        self.launch(["sh", "-c", script], **changes)

    def python(self, script: str, **changes: Any) -> None:
        self.launch([sys.executable, "-c", script], **changes)

    def start(self) -> subprocess.Popen[bytes]:
        child = client.start_supervisor(self.dir)
        self.children.append(child)
        return child

    def run(self) -> client.ExitRecord:
        """Start it and wait for its end."""
        ended = client.wait_for_exit(self.dir, child=self.start(), stop=threading.Event())
        assert ended is not None, (self.dir / "supervisor.log").read_text()
        return ended

    def until_running(self) -> client.SupervisorRecord:
        """Wait until the agent is recorded."""

        def presence() -> client.SupervisorRecord | None:
            found = client.read_supervisor_record(self.dir)
            return found if found and found.agent_pid else None

        found = eventually(presence)
        assert isinstance(found, client.SupervisorRecord)
        return found

    def has(self, name: str) -> bool:
        return (self.work / name).exists()

    def transcript(self) -> list[dict[str, Any]]:
        lines = (self.dir / "transcript.jsonl").read_bytes().split(b"\n")
        assert lines[-1] == b"", "the last line is torn"
        return [json.loads(line) for line in lines[:-1]]

    def said(self, stream: str = "stdout") -> list[str]:
        return [line["text"] for line in self.transcript() if line.get("stream") == stream]

    def survivors(self) -> list[psutil.Process]:
        return find_marked(self.marker)

    def clean(self) -> None:
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        kill_marked(self.marker)


def make(folder: Path) -> Iterator[Attempt]:
    attempt = Attempt(folder)
    yield attempt
    attempt.clean()
