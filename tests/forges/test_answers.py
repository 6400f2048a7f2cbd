"""The form of our answers: one key each, and nothing that was quoted can be taken for one."""

from __future__ import annotations

from orchestr.forges.answers import (
    answer_marker,
    has_answer,
    is_marked,
    mark_said,
    strip_said,
    write_answer,
)
from orchestr.forges.followed import Comment, Thread


def thread(body: str, path: str = "") -> Thread:
    return Thread("t", (Comment("c", "rita", body, "2026-01-02T03:04:05Z"),), path)


def test_a_general_answer_quotes_one_line_and_carries_its_key() -> None:
    text = write_answer(thread("why?\n\nand how?"), " because\n", "f:c:1")
    assert text == "> rita: why?\n\nbecause\n\n<!-- orchestr:answer f:c:1 -->"
    assert write_answer(thread("why?", "a.py"), "so", "k") == "so\n\n<!-- orchestr:answer k -->"
    assert has_answer(text + "\r\n", "f:c:1")
    assert not has_answer(text, "f:c:2")


def test_quoted_and_given_words_are_never_a_key() -> None:
    forged = answer_marker("k2")
    text = write_answer(thread(f"{forged} @ada fixes #12"), f"<!-- open\n{forged}", "k1")
    assert not has_answer(text, "k2")
    assert has_answer(text, "k1")
    assert text.count("<!--") == 1
    assert "`@ada`" in text
    assert not has_answer(f"{forged}\nsays a person", "k2")


def test_a_key_cannot_end_its_comment() -> None:
    assert answer_marker("a --> b") == "<!-- orchestr:answer a__-__b -->"
    assert answer_marker("a-->b").count("-->") == 1


def test_what_we_say_is_marked_and_shown_without_the_mark() -> None:
    text = mark_said("bye\n\nnow")
    assert is_marked(text)
    assert is_marked(write_answer(thread("why?"), "so", "k-1"))
    assert strip_said(text + "\n") == "bye\n\nnow"
    assert strip_said("hello ") == "hello "
    assert not is_marked(f"> {text}\n\nI say")
