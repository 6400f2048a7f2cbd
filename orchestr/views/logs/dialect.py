"""Which adapter translates a transcript: that of its agent, else the one that knows its records.

The attempt's record names its agent, and the agent's kind has an adapter that translates its
stream to our events (`orchestr.agents.events`). An agent that is not in the settings any more has
no adapter, so each kind is asked whether it knows the record.
"""

from __future__ import annotations

from functools import cache

from orchestr.agents import AGENT_KINDS, make_agent
from orchestr.agents.cli_agent import CliAgent
from orchestr.agents.events import Event, Note, NoteKind, Parse, make_line_parser
from orchestr.errors import OrchestrError
from orchestr.settings.records import Settings


def event_parser(settings: Settings, agent: str) -> Parse:
    """The `parse_line` of an agent's adapter, else `recognise_line`."""
    if agent not in settings.agents:
        return recognise_line
    return make_agent(settings, agent).parse_line


def recognise_line(line: bytes) -> tuple[Event, ...]:
    """Our events of a line whose agent is unknown: by the first kind that knows the record."""
    unknown: tuple[Event, ...] = ()
    for parse in _known_parsers():
        events = parse(line)
        if not events:
            return ()  # no record, or one that its agent passes over
        if not _is_unknown(events):
            return events
        unknown = events
    return unknown


def _is_unknown(events: tuple[Event, ...]) -> bool:
    return any(isinstance(event, Note) and event.kind is NoteKind.EVENT for event in events)


@cache
def _known_parsers() -> tuple[Parse, ...]:
    """The translations of all kinds that have one, ours first."""
    found = []
    for name in AGENT_KINDS.names():
        try:
            make = AGENT_KINDS.load(name).make
        except OrchestrError:
            continue  # a package that cannot be imported has no part in a view
        if isinstance(make, type) and issubclass(make, CliAgent):
            found.append(make_line_parser(make.translate_record))
    return tuple(found)
