"""Resolve a conflicted file by its structure: the rung between regenerating a file and an agent."""

from __future__ import annotations

import re

from orchestr.landing.resolve.conflict import FileConflict
from orchestr.landing.resolve.data import verify_value
from orchestr.landing.resolve.external import merge_with_tool
from orchestr.landing.resolve.languages import PYTHON, Kind, Language, find_language
from orchestr.landing.resolve.merge_code import Scope, TreeMerge
from orchestr.landing.resolve.parse import parse_tree
from orchestr.landing.resolve.prose import parse_lines
from orchestr.landing.resolve.texts import ThreeTexts, read_three_texts
from orchestr.landing.resolve.tree import Refused
from orchestr.landing.resolve.verify import check_python, verify_merge

_WORD = re.compile(r"\w+")
_SCOPES = {
    Kind.JSON: Scope.DATA,
    Kind.TOML: Scope.DATA,
    Kind.YAML: Scope.DATA,
    Kind.PROSE: Scope.PROSE,
}


def resolve_structure(conflict: FileConflict) -> bytes | None:
    """The file with both sides' edits; None where they cannot be proven to go together.

    Our own rules come first, so that what they can resolve does not depend on what is installed;
    then mergiraf, where there is one (`orchestr.landing.resolve.external`).
    """
    texts = read_three_texts(conflict)
    if texts is None:
        return None
    language = find_language(conflict.path)
    try:
        if language is None:
            raise Refused("no rule is made for this kind of file")
        merged: str | None = merge_texts(texts, language)
    except Exception:  # also a fault in a rule: it must not stop a landing, there are rungs above
        merged = merge_with_tool(texts)
    return None if merged is None else texts.encode(merged)


def merge_texts(texts: ThreeTexts, language: Language, *, any_order: bool = False) -> str:
    """The merged text; for ``any_order`` see `TreeMerge`. Raises Refused with the reason."""
    if language is PYTHON:
        check_python(texts)
    parse = parse_lines if language.kind in (Kind.PROSE, Kind.YAML) else parse_tree
    base, ours, theirs = (parse(text, language) for text in texts.versions)
    scope = _SCOPES.get(language.kind, Scope.MODULE)
    mine, other = (frozenset(_WORD.findall(text)) for text in (texts.ours, texts.theirs))
    merging = TreeMerge(language, mine, other, any_order)
    merged = merging.merge_blocks(base, ours, theirs, scope).source
    verify_merge(texts, merged, language)
    if scope is Scope.DATA:
        verify_value(texts, merged, language)
    return merged
