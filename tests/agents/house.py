"""A workspace whose agent is a real program: settings, keys and the model server that it meets."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.agents.model_server import ModelServer, Turn
from tests.e2e.workspace import Workspace, merged

# What each kind needs to find the model server; keys are fake and go by its own variables.
CODEX = """\
model = "gpt-5"
model_provider = "loop"
[model_providers.loop]
name = "loop"
base_url = "{url}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
"""
MODELS = {"claude": "sonnet", "gemini": "gemini-2.5-pro"}  # a price, no choice to make
LOOPBACK = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


class AgentHouse(Workspace):
    """A `Workspace` with one real agent, named after its kind, and its ``model``."""

    model: ModelServer
    home: Path
    keys: dict[str, str]

    @classmethod
    def build(
        cls,
        root: Path,
        kind: str,
        program: str,
        script: Sequence[Turn],
        *,
        cells: Mapping[str, Mapping[str, Any]] | None = None,
        agent: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        fault: Any = None,
        scripts: Mapping[str, Sequence[Turn]] | None = None,
        also: Mapping[str, str] | None = None,
        address: str | None = None,
    ) -> AgentHouse:
        """Repository `app`, feature `demo` with ``cells`` (one, `a`), the model playing.

        ``agent`` are more keys of `[agents.KIND]`, ``also`` further kinds and their programs,
        ``address`` is the model server's name for the agents.
        """
        programs = {kind: program, **(also or {})}
        tables: dict[str, dict[str, Any]] = {k: {"kind": k, "program": p}
                                             for k, p in programs.items()}  # fmt: skip
        tables[kind] |= agent or {}
        for name, model in MODELS.items():
            if name in tables:
                tables[name].setdefault("model", model)
        wanted = {"agents": {"default": kind, **tables}, "limits": {"timeout": "240s"}}
        made = cls.make(
            root,
            cells=cells or {"a": {}},
            settings=merged(wanted, settings or {}),
            defaults={"agent": kind},
        )
        assert isinstance(made, AgentHouse)
        made.home = root / "home"
        made.home.mkdir()
        (root / "tmp").mkdir()
        made.model = ModelServer(script, **(scripts or {}))
        if fault is not None:
            made.model.fault = fault
        made.model.__enter__()
        url = address or made.model.url
        made.keys = {k: v for name in programs for k, v in made._connect(name, url).items()}
        return made

    def _connect(self, kind: str, url: str) -> dict[str, str]:
        match kind:
            case "claude":
                return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "sk-fake"}
            case "codex":
                folder = self.home / ".codex"
                folder.mkdir()
                (folder / "config.toml").write_text(CODEX.format(url=url))
                return {"OPENAI_API_KEY": "sk-fake"}
            case "gemini":
                folder = self.home / ".gemini"
                folder.mkdir()
                settings = {"security": {"auth": {"selectedType": "gemini-api-key"}},
                            "general": {"maxAttempts": 1}}  # fmt: skip
                (folder / "settings.json").write_text(json.dumps(settings))
                return {"GEMINI_API_KEY": "sk-fake", "GOOGLE_GEMINI_BASE_URL": url}
            case _:
                folder = self.home / ".config" / "opencode"
                folder.mkdir(parents=True)
                options = {"baseURL": f"{url}/v1", "apiKey": "sk-fake"}
                cost = {"input": 1, "output": 2, "cache_read": 0.5}
                provider = {"npm": "@ai-sdk/openai-compatible", "options": options,
                            "models": {"m": {"cost": cost}}}  # fmt: skip
                config = {"provider": {"loop": provider}, "model": "loop/m"}
                (folder / "opencode.json").write_text(json.dumps(config))
                return {"OPENCODE_DISABLE_MODELS_FETCH": "1"}

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """An empty home, the fake key, and secrets that no agent may see."""
        secrets = {"GH_TOKEN": "gho_not_for_agents", "GITHUB_TOKEN": "gho_not_for_agents"}
        known = super().env(extra)
        # codex makes no helpers in a home below the folder for temporary files, see docs/agents.md.
        place = {"HOME": str(self.home), "TMPDIR": str(self.root / "tmp")}
        return {**known, **place, **LOOPBACK, **secrets, **self.keys,
                "PATH": os.environ["PATH"], **(extra or {})}  # fmt: skip

    def close(self) -> None:
        """End the programs, then the model."""
        self.end()
        self.model.__exit__()

    def transcript(self, cell: str = "a") -> str:
        return (self.cell_dir(cell) / "transcript.jsonl").read_text()
