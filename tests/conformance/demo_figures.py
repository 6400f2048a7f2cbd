"""The demo's feature, built by a real agent: what it takes (`./doitw conformance --demo`).

The model has the agent run the demo's own worker as a command, so each agent does the same work
with the same tools and permissions that a real feature would have it use.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomli_w

from orchestr.conformance.house import House, run_orchestr
from orchestr.conformance.model_server import ModelServer
from orchestr.conformance.script import Run, Say
from orchestr.conformance.trials import TRIALS, Play
from tests.conformance.agents import make_request

ROOT = Path(__file__).parents[2]
FEATURE = "mlkem"
SECONDS = 600.0  # at most


@dataclass(frozen=True, slots=True)
class DemoFigures:
    """What the feature took: the ``cells`` that the agent was to build, those that are ``done``,
    ``seconds`` of `orchestr run`, ``answers`` of the model, tokens as the ledger has them (None:
    unknown) and as the server counted them (input and output)."""

    cells: int
    done: int
    seconds: float
    answers: int
    ledger: int | None
    billed: int


class DemoHouse(House):
    """A workspace with the demo, its cells given to one agent."""

    def build(self) -> None:
        """The demo's files, its spec for this agent, its settings with this agent; its repositories
        are made by the run."""
        for name in ("specs", "tmp"):
            (self.root / name).mkdir(parents=True)
        self.make_home()
        ignored = shutil.ignore_patterns("repos", "__pycache__")
        shutil.copytree(ROOT / "demo", self.root / "demo", ignore=ignored)
        spec = (ROOT / "specs" / f"{FEATURE}.yaml").read_text(encoding="utf-8")
        spec = spec.replace("agent: scripted", f"agent: {self.subject.name}")
        (self.root / "specs" / f"{FEATURE}.yaml").write_text(spec, encoding="utf-8")
        (self.root / "orchestr.toml").write_text(tomli_w.dumps(self.make_settings()))

    def make_settings(self) -> dict[str, Any]:
        """The demo's settings with this agent, which may start python3."""
        settings = tomllib.loads((ROOT / "orchestr.toml").read_text(encoding="utf-8"))
        for repo in settings["repos"].values():
            repo["tools"] = ["python3"]
        agent = self.make_agent()
        agent["env"] = {**agent["env"], "DEMO_PAUSE": "0"}
        settings["agents"][self.subject.name] = agent
        settings["limits"]["timeout"] = "180s"
        settings["sandbox"] = {"mode": "none"}
        return settings


def measure_demo(name: str) -> tuple[DemoFigures, str]:
    """Build the demo's feature with an agent of `agents.py`; its figures, and the run's output."""
    folder = Path(tempfile.mkdtemp(prefix="orchestr-demo-")).resolve()
    try:
        with ModelServer([Run(f"python3 {folder}/demo/agent.py"), Say("All is done.")]) as model:
            subject = make_request(name).make_subject()
            house = DemoHouse(folder, subject, TRIALS["work"], Play(model))
            house.build()
            try:
                env = house.make_env()
                began = time.monotonic()
                _, output = run_orchestr(("run", FEATURE, "--yes"), folder, env, SECONDS)
                seconds = time.monotonic() - began
                _, text = run_orchestr(("status", FEATURE, "--json"), folder, env, SECONDS)
            finally:
                house.end()
            return read_figures(json.loads(text), name, seconds, model), output
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_figures(
    status: dict[str, Any], agent: str, seconds: float, model: ModelServer
) -> DemoFigures:
    """The figures from `status --json` and the server's count."""
    cells = [cell for cell in status["features"][0]["cells"] if cell["agent"] == agent]
    known = [cell["tokens"] for cell in cells]
    ledger = None if None in known else sum(t["input"] + t["output"] for t in known)
    spent, _, output = model.tokens
    return DemoFigures(
        cells=len(cells),
        done=sum(cell["state"] == "done" for cell in cells),
        seconds=round(seconds, 1),
        answers=model.answers,
        ledger=ledger,
        billed=spent + output,
    )


def record_demo(name: str) -> dict[str, Any]:
    """The figures as the record has them."""
    figures, output = measure_demo(name)
    if figures.done < figures.cells:
        print(output)
    print(f"{name:<17} {figures}", flush=True)
    return asdict(figures)
