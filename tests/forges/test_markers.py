"""Our part of a body is replaced; a person's words stay byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr.forges.body_markers import END, begin_marker, splice_block, wrap_block

X = wrap_block("mlkem", "java-sdk", "first")
Y = wrap_block("mlkem", "java-sdk", "second\n\n- with a list")
BEGIN = begin_marker("mlkem", "java-sdk")


def test_an_empty_body_becomes_the_block() -> None:
    assert splice_block("", X) == X


@pytest.mark.parametrize(
    ("body", "gap"),
    [("words", "\n\n"), ("words\n", "\n"), ("words\n\n", ""), ("a\r\nb", "\r\n\r\n")],
)
def test_without_markers_it_is_appended_after_an_empty_line(body: str, gap: str) -> None:
    assert splice_block(body, X) == body + gap + X.replace("\n", "\r\n" if "\r" in gap else "\n")


def test_what_is_around_our_part_stays() -> None:
    assert splice_block(f"Above\n\n{X}\nBelow\n", Y) == f"Above\n\n{Y}\nBelow\n"


def test_our_part_takes_the_line_ends_of_the_rest() -> None:
    crlf = f"Above\r\n\r\n{X}\r\n\r\nBelow".replace("\r\n", "\n").replace("\n", "\r\n")

    assert splice_block(crlf, Y) == f"Above\n\n{Y}\n\nBelow".replace("\n", "\r\n")
    assert splice_block(crlf, X) == crlf, "a body that a page gave CRLF needs no edit"


def test_a_body_of_only_our_part_keeps_its_crlf() -> None:
    crlf = X.replace("\n", "\r\n")
    assert splice_block(crlf, X) == crlf


def test_of_two_blocks_the_first_is_replaced_and_the_second_removed() -> None:
    assert splice_block(f"a\n{X}\nb\n{X}\nc", Y) == f"a\n{Y}\nb\nc"


def test_another_cells_block_is_ours_too() -> None:
    assert splice_block(wrap_block("old", "name", "stale"), Y) == Y


def test_a_begin_without_end_is_replaced_and_nothing_below_is_lost() -> None:
    assert splice_block(f"a\n{BEGIN}\nmaybe hers\n", Y) == f"a\n{Y}\nmaybe hers\n"


def test_a_begin_belongs_to_the_nearest_end() -> None:
    assert splice_block(f"{BEGIN}\nhers\n{X}\nz", Y) == f"hers\n{Y}\nz"


def test_an_end_without_begin_goes() -> None:
    assert splice_block(f"a\n{END}\nb", Y) == f"a\nb\n\n{Y}"


@pytest.mark.parametrize(
    "text",
    [
        f"> {BEGIN}\n> quoted\n> {END}",
        f"see {BEGIN} there",
        f"    {BEGIN}\n    {END}",
        f"```\n{BEGIN}\n{END}\n```",
        f"~~~~ html\n{BEGIN}\n~~~\n{END}\n~~~~",
        "<!-- orchestr:begin -- -->",
        "<!-- orchestr:begin feature=<b> -->",
        "<!--orchestr:end-->",
    ],
)
def test_look_alikes_are_a_persons_text(text: str) -> None:
    assert splice_block(text, Y) == f"{text}\n\n{Y}"


def test_an_open_fence_does_not_hide_our_part() -> None:
    assert splice_block(f"```\noops\n{X}", Y) == f"```\noops\n{Y}"


@pytest.mark.parametrize(
    "block",
    ["words", f"{X}\n", f"{X}\n{X}", f"{BEGIN}\n```\n{END}", f"{BEGIN}\r\n{END}", f"{BEGIN}\n{X}"],
)
def test_what_could_not_be_found_again_is_refused(block: str) -> None:
    with pytest.raises(ValueError, match=r"markers|fence"):
        splice_block("", block)


PIECES = st.sampled_from(
    [BEGIN, END, X, Y, "words", "> ", "```", "~~~", "````", " ", "\n", "\r\n", "\r", "\n\n"]
)
BODIES = st.lists(PIECES | st.text(max_size=5), max_size=14).map("".join)
BLOCKS = st.lists(st.text("ab `~#\n", max_size=12), max_size=3).map(
    lambda texts: wrap_block("f", "c", "\n".join(f"- {t.replace(chr(10), ' ')}" for t in texts))
)


@given(BODIES, BLOCKS, BLOCKS)
def test_the_last_splice_wins(body: str, x: str, y: str) -> None:
    assert splice_block(splice_block(body, x), y) == splice_block(body, y)


@given(BODIES, BLOCKS)
def test_a_second_splice_changes_nothing(body: str, block: str) -> None:
    once = splice_block(body, block)
    assert splice_block(once, block) == once


PROSE = st.text(st.characters(blacklist_characters="`~<", blacklist_categories=["Cs"]), max_size=40)


@given(PROSE, PROSE, BLOCKS, BLOCKS)
def test_the_outside_is_kept_byte_for_byte(above: str, below: str, x: str, y: str) -> None:
    after = splice_block(f"{above}\n{x}\n{below}", y)
    assert after.startswith(f"{above}\n{BEGIN[:20]}")
    assert after.endswith(f"{END}\n{below}")


@given(PROSE, BLOCKS)
def test_appending_keeps_the_whole_body(body: str, block: str) -> None:
    assert splice_block(body, block).startswith(body)
