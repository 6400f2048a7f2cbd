"""What to try with which agent, as JSON between the verb and the program that tries it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from orchestr.conformance.connect import Connection, find_connection
from orchestr.conformance.house import Subject
from orchestr.conformance.promises import PROMISES, Needs, Promise, find_promise


@dataclass(frozen=True, slots=True)
class Request:
    """``table`` is the agent's in `orchestr.toml`, ``path`` the PATH of its programs; ``promises``
    are names, none: all. ``endpoint`` is the variable that leads it to a model's server, for a
    program that is not known: `NAME`, or `NAME=/v1` where something follows the address."""

    name: str
    table: Mapping[str, Any]
    path: str
    promises: tuple[str, ...] = ()
    endpoint: str = ""

    def write(self) -> str:
        """As JSON; `parse_request` reads it."""
        return json.dumps(asdict(self))

    def list_promises(self) -> list[Promise]:
        """What is to be tried. Raises KeyError for a name that no promise has."""
        return [find_promise(name) for name in self.promises] or list(PROMISES)

    def list_words(self) -> list[str]:
        """The words of the agent's command."""
        return [*self.table.get("run", ()), str(self.table.get("program") or self.table["kind"])]

    def find_connection(self) -> Callable[[str], Connection] | None:
        """What leads the agent to a model at an address; None: it is not known."""
        name, _, path = self.endpoint.partition("=")
        if name:
            return lambda url: Connection({name: f"{url}{path}"})
        return find_connection(self.table["kind"], self.list_words())

    def find_lacks(self) -> tuple[Needs, ...]:
        """What the agent does not have of what promises need."""
        connect = self.find_connection()
        if connect is None:
            return (Needs.MODEL, Needs.TOOLS, Needs.RESULT)
        lacks = [Needs.TOOLS] if connect("").prose else []
        if self.table["kind"] == "command" and not self.table.get("stream"):
            lacks.append(Needs.RESULT)
        return tuple(lacks)

    def make_subject(self) -> Subject:
        """The agent as the trials take it."""
        connect = self.find_connection() or (lambda _url: Connection())
        return Subject(self.name, self.table, connect, self.path)


def parse_request(text: str) -> Request:
    """Read what `Request.write` wrote."""
    raw = json.loads(text)
    return Request(**{**raw, "promises": tuple(raw["promises"])})
