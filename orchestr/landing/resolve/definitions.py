"""Names that a merge must not define more often than the versions that it is made of, and those
that lines of text define, in any language, as far as a line shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

# What a line must not define twice. An indented definition counts with its indentation: a method
# is another thing than a function, and two methods of one name may be of two classes.
_DEFINES = re.compile(
    r"""^(?P<indent>[ \t]*)(?:
        (?:(?:export|default|pub(?:\([^)]*\))?|public|private|protected|static|async|abstract|final
            |const|unsafe|inline)\s+)*
        (?:def|class|func(?:\s*\([^)]*\))?|function\*?|fn|interface|struct|enum|trait|type|mod)
        \s+(?P<name>\w+)
        | (?P<heading>\#{1,6}\s+\S.*?)\s*$
        | (?P<key>["']?[\w.\-]+["']?)\s*(?:=(?!=)|:(?=\s|$))
        | \[(?P<table>[^\[\]]+)\]\s*$
    )""",
    re.VERBOSE,
)


def find_surplus(
    merged: Iterable[str], versions: Iterable[Iterable[str]], *, least: int = 0
) -> str | None:
    """The first name that stands more often than in any version, and more often than ``least``."""
    known = [Counter(names) for names in versions]
    for name, count in Counter(merged).items():
        if count > max(least, *(counts[name] for counts in known)):
            return name
    return None


def defines_twice(
    merged: Sequence[str], versions: Iterable[Sequence[str]], *, keys: bool = False
) -> bool:
    """Whether lines define a function, a type, a heading or a table more often than any version;
    with ``keys``, also a key or an assigned name."""
    known = (_list_definitions(lines, keys=keys) for lines in versions)
    return find_surplus(_list_definitions(merged, keys=keys), known) is not None


def _list_definitions(lines: Iterable[str], *, keys: bool) -> Iterator[str]:
    """The names that are defined; keys and assigned names begin with ``=``."""
    for found in filter(None, map(_DEFINES.match, lines)):
        if not found["key"]:
            name = found["name"] or found["heading"] or found["table"]
            yield f"{found['indent']}{name}"
        elif keys:
            yield f"={found['indent']}{found['key']}"
