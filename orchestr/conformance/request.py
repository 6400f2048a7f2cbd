"""What to try with which agent, as JSON between the verb and the program that tries it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from orchestr.conformance.connect import find_connection
from orchestr.conformance.house import Subject
from orchestr.conformance.promises import PROMISES, Needs, Promise, find_promise


@dataclass(frozen=True, slots=True)
class Request:
    """``table`` is the agent's in `orchestr.toml`, ``path`` the PATH of its programs; ``promises``
    are names, none: all."""

    name: str
    table: Mapping[str, Any]
    path: str
    promises: tuple[str, ...] = ()

    def write(self) -> str:
        """As JSON; `parse_request` reads it."""
        return json.dumps(asdict(self))

    def list_promises(self) -> list[Promise]:
        """What is to be tried. Raises KeyError for a name that no promise has."""
        return [find_promise(name) for name in self.promises] or list(PROMISES)

    def list_words(self) -> list[str]:
        """The words of the agent's command."""
        return [*self.table.get("run", ()), str(self.table.get("program") or self.table["kind"])]

    def find_lacks(self) -> tuple[Needs, ...]:
        """What the agent does not have of what promises need."""
        connect = find_connection(self.table["kind"], self.list_words())
        if connect is None:
            return (Needs.MODEL, Needs.TOOLS, Needs.RESULT)
        lacks = [Needs.TOOLS] if connect("").prose else []
        if self.table["kind"] == "command" and not self.table.get("stream"):
            lacks.append(Needs.RESULT)
        return tuple(lacks)

    def make_subject(self) -> Subject:
        """The agent as the trials take it."""
        connect = find_connection(self.table["kind"], self.list_words())
        if connect is None:
            from orchestr.conformance.connect import Connection

            return Subject(self.name, self.table, lambda _url: Connection(), self.path)
        return Subject(self.name, self.table, connect, self.path)


def parse_request(text: str) -> Request:
    """Read what `Request.write` wrote."""
    raw = json.loads(text)
    return Request(raw["name"], raw["table"], raw["path"], tuple(raw["promises"]))
