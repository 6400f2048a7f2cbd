"""Parsing XML that a program of the change wrote: reports of tests and of coverage.

Entity declarations are refused (they can grow a kilobyte into gigabytes, or name files), depth is
limited, and what cannot be read is an error, never an empty list: that would look like success.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.parsers import expat

LIMIT = 64 << 20  # bytes of one report
DEPTH = 100


class BadReport(Exception):
    """A report that cannot be trusted; the message says why."""


def parse_untrusted(
    data: bytes,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], object],
) -> None:
    """Call ``start`` and ``end`` for each element, without its namespace's prefix, and ``text`` for
    what stands between. Raises BadReport, and what the three raise."""
    depth = 0

    def start_element(name: str, attrs: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEPTH:
            raise BadReport("nested too deeply")
        start(name.rpartition("}")[2], attrs)

    def end_element(name: str) -> None:
        nonlocal depth
        end(name.rpartition("}")[2])
        depth -= 1

    def refuse_entities(*_: object) -> None:
        raise BadReport("declares entities, which no report needs")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.EntityDeclHandler = refuse_entities
    parser.StartElementHandler = start_element
    parser.EndElementHandler = end_element
    parser.CharacterDataHandler = text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise BadReport(f"is not XML: {error}") from None
