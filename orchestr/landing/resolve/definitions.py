"""Names that lines of text define, in any language, as far as a line shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

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


def defines_twice(merged: Sequence[str], versions: Iterable[Sequence[str]]) -> bool:
    """Whether lines define a function, a type, a heading or a table more often than any version."""
    known = [count_definitions(version) for version in versions]
    return any(
        count > max(counts[name] for counts in known)
        for name, count in count_definitions(merged).items()
        if not name.startswith("=")
    )


def count_definitions(lines: Iterable[str]) -> Counter[str]:
    """How often each name is defined; keys and assigned names begin with ``=``."""
    counts: Counter[str] = Counter()
    for line in lines:
        found = _DEFINES.match(line)
        if found is None:
            continue
        kind = found.lastgroup or ""
        if kind == "key" or found["key"]:
            counts[f"={found['indent']}{found['key']}"] += 1
        else:
            name = found["name"] or found["heading"] or found["table"]
            counts[f"{found['indent']}{name}"] += 1
    return counts
