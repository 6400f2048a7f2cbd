"""What a drafting agent answers: one YAML document in a fence, and nothing to be guessed.

Pure. A spec or a question; anything else is `UnreadableDraft`, whose message the agent gets. Prose
around the fence is refused too: a document that is only quoted somewhere is no answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from orchestr.errors import SpecError
from orchestr.spec.field_types import BadValue, check_line, escape_unprintable

QUESTION = "Question"
MOST = 256 << 10  # characters of an answer
ITEMS = 5  # parts of the one question
_OPEN = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})[ \t]*([\w.+-]*)[ \t]*$")
_KEY = re.compile(r"[a-z][a-z0-9-]{0,31}")


class UnreadableDraft(ValueError):
    """An answer that is not one YAML document in a fence; the message says why."""


@dataclass(frozen=True, slots=True)
class QuestionPart:
    """One part of the question: its key, the words, and answers to choose from (none: any)."""

    key: str
    ask: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DraftAnswer:
    """``spec`` is the text of a spec; ``question`` stands in its place where the scope is open."""

    spec: str = ""
    question: tuple[QuestionPart, ...] = ()


def parse_answer(text: str) -> DraftAnswer:
    """The answer of an agent. Raises UnreadableDraft."""
    if len(text) > MOST:
        raise UnreadableDraft(f"it is longer than {MOST >> 10} KiB")
    inner = _take_fence(text)
    question = _parse_question(inner)
    return DraftAnswer(question=question) if question else DraftAnswer(inner)


def _take_fence(text: str) -> str:
    """What is inside of the only fence. Raises UnreadableDraft."""
    lines = text.strip().splitlines()
    if not lines:
        raise UnreadableDraft("it is empty")
    start = next((n for n, line in enumerate(lines) if _OPEN.match(line)), None)
    if start is None:
        raise UnreadableDraft("there is no fence (```yaml) in it")
    if start:
        raise UnreadableDraft(f"there is text before its fence: {_show_line(lines[0])}")
    found = _OPEN.match(lines[0])
    mark = found[1] if found else "```"
    close = re.compile(rf"[ \t]{{0,3}}{re.escape(mark[0])}{{{len(mark)},}}[ \t]*")
    end = next((n for n, line in enumerate(lines) if n and close.fullmatch(line)), None)
    if end is None:
        raise UnreadableDraft("its fence is not closed: it was cut off")
    if end != len(lines) - 1:
        raise UnreadableDraft(f"there is text after its fence: {_show_line(lines[end + 1])}")
    inner = "\n".join(lines[1:end])
    if not inner.strip():
        raise UnreadableDraft("its fence is empty")
    return inner + "\n"


def _show_line(line: str) -> str:
    return repr(escape_unprintable(line, 60))


def _parse_question(inner: str) -> tuple[QuestionPart, ...]:
    """The parts of a question; none for a spec, and for what the reader of specs must judge."""
    if not re.search(rf"^kind:\s*['\"]?{QUESTION}\b", inner, re.MULTILINE):
        return ()
    from orchestr.spec.document import read_document

    try:
        value = read_document("question", inner.encode(), None).value
    except SpecError as error:
        raise UnreadableDraft(str(error)) from None
    if not isinstance(value, dict) or value.get("kind") != QUESTION:
        return ()
    unknown = sorted(value.keys() - {"kind", "questions"})
    if unknown:
        raise UnreadableDraft(f"unknown field {unknown[0]!r} in its question")
    items = value.get("questions")
    if not isinstance(items, list) or not 0 < len(items) <= ITEMS:
        raise UnreadableDraft(f"`questions` must be a list of one to {ITEMS}")
    parts = tuple(_parse_part(item) for item in items)
    if len({part.key for part in parts}) != len(parts):
        raise UnreadableDraft("two questions have the same key")
    return parts


def _parse_part(item: Any) -> QuestionPart:
    if not isinstance(item, dict) or item.keys() - {"key", "ask", "options"}:
        raise UnreadableDraft("a question has the fields key, ask and options")
    key, ask, options = item.get("key"), item.get("ask") or "", item.get("options") or []
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise UnreadableDraft("the key of a question is a word such as `scope`")
    if not isinstance(options, list) or len(options) > 10:
        raise UnreadableDraft("`options` must be a list of at most ten")
    try:
        return QuestionPart(key, check_line(ask), tuple(check_line(str(one)) for one in options))
    except (BadValue, TypeError, AttributeError) as error:
        raise UnreadableDraft(f"question {key}: {error}") from None
