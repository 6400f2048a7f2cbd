"""Resolve a conflicted file by keeping both sides' lines, where the settings allow that."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from orchestr.git.errors import GitError
from orchestr.git.merge_file import ConflictRegion, Region, read_merge_regions
from orchestr.landing.resolve.conflict import FileConflict
from orchestr.landing.resolve.texts import read_three_texts

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


def resolve_union(conflict: FileConflict) -> bytes | None:
    """The file with both sides' lines of each conflicted region, ours first, as git's ``union``;
    None where that would define a name twice (a function, a class, a key, a heading).
    """
    texts = read_three_texts(conflict)
    if texts is None:
        return None
    try:
        regions = read_merge_regions(texts.base, texts.ours, texts.theirs)
    except GitError:
        return None
    if any(_defines_twice(region) for region in regions if isinstance(region, ConflictRegion)):
        return None
    lines = [line for region in regions for line in _unite_region(region)]
    versions = [text.split("\n") for text in (texts.base, texts.ours, texts.theirs)]
    counts = [_count_definitions(version) for version in versions]
    for name, count in _count_definitions(lines).items():
        if count > max(known[name] for known in counts) and not name.lstrip().startswith("="):
            return None
    return texts.encode("".join(line + "\n" for line in lines))


def _unite_region(region: Region) -> tuple[str, ...]:
    """What git's union makes of a region: lines that both begin or end with stand once."""
    if not isinstance(region, ConflictRegion):
        return region.lines
    ours, theirs = region.ours, region.theirs
    least = min(len(ours), len(theirs))
    begin = 0
    while begin < least and ours[begin] == theirs[begin]:
        begin += 1
    end = 0
    while end < least - begin and ours[-1 - end] == theirs[-1 - end]:
        end += 1
    return (*ours[: len(ours) - end], *theirs[begin:])


def _defines_twice(region: ConflictRegion) -> bool:
    """Whether both sides define a name here that the other side has, too."""
    united = _count_definitions(_unite_region(region))
    most = [_count_definitions(side) for side in (region.ours, region.theirs)]
    return any(count > max(known[name] for known in most) for name, count in united.items())


def _count_definitions(lines: Iterable[str]) -> Counter[str]:
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
