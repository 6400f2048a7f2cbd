"""What of the agents is not as locked."""

from __future__ import annotations

from pathlib import Path

from orchestr.run.agents_lock import (
    AgentFacts,
    list_differences,
    merge_agents,
    read_agents_lock,
    write_agents_lock,
)

CLAUDE = AgentFacts("claude", "2.1.0", ("opus", "sonnet"))


def test_each_difference_is_named() -> None:
    locked = {"claude": CLAUDE, "gone": AgentFacts("codex", "1.0")}
    same = {"claude": AgentFacts("claude", "2.1.0", ("sonnet",))}
    assert list(list_differences(locked, same)) == []
    now = {"claude": AgentFacts("codex", "", ("haiku", "opus")), "new": CLAUDE}
    assert list(list_differences(locked, now)) == [
        "agent claude is of kind codex, locked is claude",
        "agent claude has version unknown, locked is 2.1.0",
        "agent claude is asked for model haiku, locked: opus, sonnet",
        "agent new is not in agents.lock.toml",
    ]


def test_it_is_written_and_read(tmp_path: Path) -> None:
    assert read_agents_lock(tmp_path) is None
    agents = merge_agents([{"b": CLAUDE}, {"b": AgentFacts("claude", "2.1.0", ("haiku",))}])
    assert write_agents_lock(tmp_path, agents)
    assert not write_agents_lock(tmp_path, agents)
    lock = read_agents_lock(tmp_path)
    assert lock is not None
    assert lock.agents == {"b": AgentFacts("claude", "2.1.0", ("haiku", "opus", "sonnet"))}
