"""Resolve a conflicted file by keeping both sides' lines, where the settings allow that."""

from __future__ import annotations

from orchestr.git.errors import GitError
from orchestr.git.merge_file import ConflictRegion, Region, read_merge_regions
from orchestr.landing.resolve.conflict import FileConflict
from orchestr.landing.resolve.definitions import defines_twice
from orchestr.landing.resolve.languages import Kind, Language, find_language
from orchestr.landing.resolve.sequence import count_shared_ends
from orchestr.landing.resolve.structure import merge_texts
from orchestr.landing.resolve.texts import ThreeTexts, read_three_texts
from orchestr.landing.resolve.tree import NameTwice


def resolve_union(conflict: FileConflict) -> bytes | None:
    """The file with what both sides added, ours first: part by part where it is code that can be
    read so, else the lines of each conflicted region, as git's ``union``. None where that would
    give a name two meanings (a function, a class, a key, a heading).
    """
    texts = read_three_texts(conflict)
    if texts is None:
        return None
    language = find_language(conflict.path)
    try:
        if language is not None and language.kind in (Kind.INDENTED, Kind.BRACED):
            return texts.encode(merge_texts(texts, language, any_order=True))
    except NameTwice:
        return None  # by lines it might look as if one meaning went on with the other's lines
    except Exception:  # refused, or a fault in a rule: there are still the lines
        pass
    merged = _unite_lines(texts, language)
    return None if merged is None else texts.encode(merged)


def _unite_lines(texts: ThreeTexts, language: Language | None) -> str | None:
    try:
        regions = read_merge_regions(*texts.versions)
    except GitError:
        return None
    is_data = language is None or language.kind in (Kind.JSON, Kind.TOML, Kind.YAML)
    conflicts = [region for region in regions if isinstance(region, ConflictRegion)]
    # keys and assigned names count where both changed the same lines, or none of them is a local
    if any(
        defines_twice(
            _unite_region(region), (region.ours, region.theirs), keys=is_data or bool(region.base)
        )
        for region in conflicts
    ):
        return None
    lines = [line for region in regions for line in _unite_region(region)]
    versions = (text.split("\n") for text in texts.versions)
    if defines_twice(lines, versions):
        return None
    return "".join(line + "\n" for line in lines)


def _unite_region(region: Region) -> tuple[str, ...]:
    """What git's union makes of a region: lines that both begin or end with stand once."""
    if not isinstance(region, ConflictRegion):
        return region.lines
    ours, theirs = region.ours, region.theirs
    begin, end = count_shared_ends(ours, theirs)
    return (*ours[: len(ours) - end], *theirs[begin:])
