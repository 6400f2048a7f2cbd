"""Which words a view takes for a line of a transcript: the agent's own events, or the old guess.

The attempt's record names its agent, and the agent's kind has an adapter that translates its
stream to our events: that is what the views show. The streams of `FORMATTED` are shown in more
detail (diffs, results) by `transcript` and `transcript_events`, which recognise them by the
fields of their records; so is a transcript whose agent is not in the settings any more.
"""

from __future__ import annotations

from orchestr.agents import make_agent
from orchestr.agents.events import Parse
from orchestr.settings.records import Settings

FORMATTED = frozenset({"claude", "codex", "command", "gemini", "opencode"})


def event_parser(settings: Settings, agent: str) -> Parse | None:
    """The `parse_line` of an agent's adapter; None: the views guess by the records."""
    known = settings.agents.get(agent)
    if known is None or known.kind in FORMATTED:
        return None
    return make_agent(settings, agent).parse_line
