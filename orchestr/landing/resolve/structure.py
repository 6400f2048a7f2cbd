"""Resolve a conflicted file by its structure: the rung between regenerating a file and an agent."""

from __future__ import annotations

from orchestr.landing.resolve.conflict import FileConflict
from orchestr.landing.resolve.languages import PYTHON, Kind, Language, find_language
from orchestr.landing.resolve.merge_code import Scope, TreeMerge
from orchestr.landing.resolve.parse import parse_tree
from orchestr.landing.resolve.texts import ThreeTexts, read_three_texts
from orchestr.landing.resolve.tree import Refused
from orchestr.landing.resolve.verify import check_python, verify_merge


def resolve_structure(conflict: FileConflict) -> bytes | None:
    """The file with both sides' edits; None where they cannot be proven to go together."""
    texts = read_three_texts(conflict)
    language = find_language(conflict.path)
    if texts is None or language is None:
        return None
    try:
        return texts.encode(merge_texts(texts, language))
    except (Refused, RecursionError):
        return None


def merge_texts(texts: ThreeTexts, language: Language) -> str:
    """The merged text. Raises Refused with the reason."""
    if language is PYTHON:
        check_python(texts)
    base, ours, theirs = (
        parse_tree(text, language) for text in (texts.base, texts.ours, texts.theirs)
    )
    scope = Scope.DATA if language.kind in (Kind.JSON, Kind.TOML) else Scope.MODULE
    merged = TreeMerge(language).merge_blocks(base, ours, theirs, scope).source
    verify_merge(texts, merged, language)
    return merged
