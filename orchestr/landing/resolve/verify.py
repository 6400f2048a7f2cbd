"""Look at a merged text once more, whatever made it: what must hold of three versions and a merge.

Nothing is lost and nothing comes back: each word stands as often as both sides' edits say. No side
uses a name that the other took out of the file. Python compiles where all three versions do.
"""

from __future__ import annotations

import keyword
import re
import warnings
from collections import Counter
from functools import lru_cache

from orchestr.landing.resolve.bindings import check_bindings
from orchestr.landing.resolve.languages import PYTHON, Kind, Language
from orchestr.landing.resolve.texts import ThreeTexts
from orchestr.landing.resolve.tree import Refused

_WORD = re.compile(r"\w+")
_PYTHON_KEYWORDS = frozenset(keyword.kwlist)
_MARKER = re.compile(r"^(<{7}|>{7})( |$)", re.MULTILINE)


def verify_merge(texts: ThreeTexts, merged: str, language: Language | None) -> None:
    """Raises Refused when the merged text cannot be what both sides mean."""
    counts = [Counter(_WORD.findall(text)) for text in (*texts.versions, merged)]
    _check_words(*counts)
    if language is not None and language.kind in (Kind.INDENTED, Kind.BRACED):
        keywords = _PYTHON_KEYWORDS if language is PYTHON else frozenset()
        _check_names(counts[0], counts[1], counts[2], keywords)
        base, ours, theirs = (_count_code_words(text, language) for text in texts.versions)
        _check_names(base, ours, theirs, keywords)
    if language is PYTHON:
        if not _is_python(merged):
            raise Refused("the merged file does not compile")
        check_bindings(*texts.versions)
    old = {text for side in texts.versions for text in _find_markers(side)}
    if set(_find_markers(merged)) - old:
        raise Refused("conflict markers are left")


def _check_words(
    base: Counter[str], ours: Counter[str], theirs: Counter[str], merged: Counter[str]
) -> None:
    for word in ours.keys() | theirs.keys() | base.keys() | merged.keys():
        mine, other = ours[word] - base[word], theirs[word] - base[word]
        least, most = mine + other, mine + other
        if mine > 0 and other > 0:
            least = max(mine, other)  # both may have added the same
        elif mine < 0 and other < 0:
            most = min(mine, other)
        if not least <= merged[word] - base[word] <= most:
            raise Refused(f"{word!r} is lost, or has come back")


def _check_names(
    base: Counter[str], ours: Counter[str], theirs: Counter[str], keywords: frozenset[str]
) -> None:
    """Raises Refused for a name that one side uses and the other took away; a keyword is none."""
    for side, other in ((ours, theirs), (theirs, ours)):
        for word, count in other.items():
            if count > base[word] > 0 == side[word] and not (word.isdigit() or word in keywords):
                raise Refused(f"one side uses {word!r}, which the other took out of the file")


def _count_code_words(text: str, language: Language) -> Counter[str]:
    """The words outside of comments and strings: a mention of a name is no use of it."""
    return Counter(
        piece[0] for piece in language.pieces.finditer(text) if piece.lastgroup == "word"
    )


def check_python(texts: ThreeTexts) -> None:
    """Raises Refused when a version is no Python that this interpreter knows."""
    if not all(map(_is_python, texts.versions)):
        raise Refused("a version does not compile")


@lru_cache(maxsize=64)
def _is_python(text: str) -> bool:
    """Whether a text compiles: this finds what stands twice among parameters and arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(text, "merged", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def _find_markers(text: str) -> list[str]:
    return [found[0] for found in _MARKER.finditer(text)]
