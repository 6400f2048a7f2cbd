"""Reading reports that a program of the change wrote, of tests and of coverage; most are XML.

Entity declarations are refused (they can grow a kilobyte into gigabytes, or name files), size and
depth are limited, and what cannot be read is an error, never an empty list: that would look like
success.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from xml.parsers import expat

R = TypeVar("R")

LIMIT = 64 << 20  # bytes of one report
DEPTH = 100


class BadReport(Exception):
    """A report that cannot be trusted; the message says why."""


def read_report_file(path: Path, parse: Callable[[bytes], R]) -> R:
    """What ``parse`` makes of a file; of one that is too large it gets enough to see that
    (`refuse_large`). Raises BadReport naming the file."""
    try:
        with path.open("rb") as stream:
            return parse(stream.read(LIMIT + 1))
    except BadReport as error:
        raise BadReport(f"{path.name} {error}") from None
    except OSError as error:
        raise BadReport(f"{path.name} cannot be read: {error.strerror}") from None


def refuse_large(data: bytes) -> None:
    """Raises BadReport for a report that is larger than `LIMIT`."""
    if len(data) > LIMIT:
        raise BadReport(f"is larger than {LIMIT >> 20} MiB")


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
