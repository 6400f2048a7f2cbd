"""stub"""

from collections.abc import Mapping


def list_agent_rules(kind: str, env: Mapping[str, str]) -> tuple[str, ...]:
    return ("api.anthropic.com",)
