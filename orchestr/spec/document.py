"""From the bytes of a spec to its document: files taken in, variables and matrices filled in.

A spec that uses none of that is read by `orchestr.spec.yaml_source` alone.
"""

from __future__ import annotations

from pathlib import Path

from orchestr.spec.expand import Expander, uses_expansion
from orchestr.spec.parts import PartReader, names_parts
from orchestr.spec.yaml_source import Document, Source, make_document


def read_document(file: str, data: bytes, root: Path | None) -> Document:
    """The document of a spec; ``file`` is its name below the workspace ``root``.

    Without a ``root`` other files cannot be taken in. What is wrong but does not stop the reading
    is in ``.problems``. Raises SpecError.
    """
    source = Source(file, data)
    if not names_parts(source.root) and not uses_expansion(source.root):
        return make_document(source)
    parts = PartReader(source, root)
    whole = parts.read()
    problems = parts.problems
    is_expanded = uses_expansion(whole)
    if is_expanded:
        expander = Expander(file)
        whole = expander.expand(whole)
        problems = [*problems, *expander.problems]
    return Document(
        file,
        whole,
        parts.lines,
        problems,
        parts=tuple(sorted(parts.parts.items())),
        is_expanded=is_expanded,
    )
