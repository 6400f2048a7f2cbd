"""How an agent program is led to the scripted model: variables, files of its home, never a login.

One table. A program that is not in it is tried as far as it goes without a model of ours, and the
table of promises says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

FAKE_KEY = "sk-fake-orchestr"
CODEX = """\
model = "gpt-5"
model_provider = "loop"
[model_providers.loop]
name = "loop"
base_url = "{url}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1
"""


@dataclass(frozen=True, slots=True)
class Connection:
    """What leads a program to the model: ``env``, ``files`` below its home (path -> text), and the
    ``model`` to ask for. ``prose``: its model writes text and calls no tools.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    prose: bool = False


def _connect_claude(url: str) -> Connection:
    env = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": FAKE_KEY, "CLAUDE_CODE_MAX_RETRIES": "1"}
    return Connection(env, model="sonnet")


def _connect_codex(url: str) -> Connection:
    return Connection({"OPENAI_API_KEY": FAKE_KEY}, {".codex/config.toml": CODEX.format(url=url)})


def _connect_gemini(url: str) -> Connection:
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}},
                "general": {"maxAttempts": 1}}  # fmt: skip
    env = {"GEMINI_API_KEY": FAKE_KEY, "GOOGLE_GEMINI_BASE_URL": url}
    return Connection(env, {".gemini/settings.json": json.dumps(settings)}, "gemini-2.5-pro")


def _connect_opencode(url: str) -> Connection:
    options = {"baseURL": f"{url}/v1", "apiKey": FAKE_KEY}
    cost = {"input": 1, "output": 2, "cache_read": 0.5}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options,
                "models": {"m": {"cost": cost}}}  # fmt: skip
    config = {"provider": {"loop": provider}, "model": "loop/m"}
    files = {".config/opencode/opencode.json": json.dumps(config)}
    return Connection({"OPENCODE_DISABLE_MODELS_FETCH": "1"}, files)


def _connect_qwen(url: str) -> Connection:
    settings = {"security": {"auth": {"selectedType": "openai"}},
                "privacy": {"usageStatisticsEnabled": False},
                "general": {"disableAutoUpdate": True, "enableAutoUpdate": False}}  # fmt: skip
    env = {"OPENAI_API_KEY": FAKE_KEY, "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_MODEL": "m"}
    return Connection(env, {".qwen/settings.json": json.dumps(settings)})


def _connect_copilot(url: str) -> Connection:
    env = {"COPILOT_PROVIDER_BASE_URL": f"{url}/v1", "COPILOT_PROVIDER_TYPE": "openai",
           "COPILOT_PROVIDER_API_KEY": FAKE_KEY, "COPILOT_MODEL": "gpt-4o",
           "COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false"}  # fmt: skip
    return Connection(env)


def _connect_cline(url: str) -> Connection:
    settings = {"provider": "openai-compatible", "apiKey": FAKE_KEY, "model": "gpt-4o",
                "baseUrl": f"{url}/v1"}  # fmt: skip
    entry = {"settings": settings, "updatedAt": "2026-01-01T00:00:00.000Z", "tokenSource": "manual"}
    known = {"version": 1, "lastUsedProvider": "openai-compatible", "modes": {},
             "providers": {"openai-compatible": entry}}  # fmt: skip
    return Connection({}, {".cline/data/settings/providers.json": json.dumps(known)})


def _connect_aider(url: str) -> Connection:
    env = {"OPENAI_API_KEY": FAKE_KEY, "OPENAI_API_BASE": f"{url}/v1",
           "AIDER_EDIT_FORMAT": "whole", "AIDER_STREAM": "false",
           "AIDER_SHOW_MODEL_WARNINGS": "false", "AIDER_ANALYTICS_DISABLE": "true",
           "AIDER_CHECK_UPDATE": "false", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # fmt: skip
    return Connection(env, model="openai/gpt-4o", prose=True)


def _connect_mini(url: str) -> Connection:
    env = {"OPENAI_API_KEY": FAKE_KEY, "OPENAI_API_BASE": f"{url}/v1",
           "MSWEA_MODEL_NAME": "openai/gpt-4o", "MSWEA_CONFIGURED": "true",
           "MSWEA_COST_TRACKING": "ignore_errors",
           "MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT": "2",
           "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # fmt: skip
    return Connection(env)


CONNECTIONS: Mapping[str, Callable[[str], Connection]] = {
    "claude": _connect_claude,
    "codex": _connect_codex,
    "gemini": _connect_gemini,
    "opencode": _connect_opencode,
    "qwen": _connect_qwen,
    "copilot": _connect_copilot,
    "cline": _connect_cline,
    "aider": _connect_aider,
    "mini": _connect_mini,
}
# Programs that speak for one of these.
SAME = {"claude-agent-acp": "claude", "codex-acp": "codex", "mini-swe-agent": "mini"}


def find_connection(kind: str, words: Sequence[str]) -> Callable[[str], Connection] | None:
    """How to lead an agent of ``kind`` whose command is ``words`` to a model; None: not known."""
    if kind in CONNECTIONS:
        return CONNECTIONS[kind]
    names = (part for word in words for part in re.findall(r"[\w.-]+", word))
    known = (SAME.get(name, name) for name in names)
    return next((CONNECTIONS[name] for name in known if name in CONNECTIONS), None)
