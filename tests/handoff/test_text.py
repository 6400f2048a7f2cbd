"""The text of a hand-off: bounded, literal, deterministic, and found again in a body."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestr.forges.body_markers import read_block, splice_block, wrap_block
from orchestr.forges.depends_on import read_depends_on
from orchestr.handoff.text import (
    BEGIN,
    END,
    Approval,
    ChangedPath,
    HandoffFacts,
    find_issues,
    read_handoff,
    render_feature_summary,
    render_handoff,
    splice_handoff,
)

FACTS = HandoffFacts(
    head="a" * 40,
    agent="claude",
    words="I added the key type.\n\nAll tests are green; see #12.",
    paths=(ChangedPath("src/a.py", 3, 1), ChangedPath("logo.png", None, None)),
    added=3,
    removed=1,
    checks=({"name": "unit", "passed": True, "detail": "12 tests"},
            {"name": "slow", "passed": False, "unavailable": True, "detail": ""}),
    reviews=({"reviewer": "eve", "issues": [{"title": "x"}]},),
    plan="1. Change `src/a.py`\n",
    deviation=("logo.png",),
    explanation="it was needed",
    approvals=(Approval("plan", "Ada", "2026-01-02T03:04:05+00:00"),),
    issues=("DSPX-1",),
)  # fmt: skip

TEXT = f"""\
{BEGIN}
## Summary

In the words of the agent `claude`, unchecked:

> I added the key type.
> All tests are green; see `#12.`

## Changes

2 files, +3 −1, at `aaaaaaaaaaaa`:

- `src/a.py` +3 −1
- `logo.png` (binary)

## Test plan

- [x] `unit`: 12 tests
- [ ] `slow`: not evaluated
- [x] read by the reviewer eve: 1 issue left

## Plan

> 1\\. Change `src/a.py`

#### Beside the approved plan

These files are changed, and the plan that was approved does not name them:

- `logo.png`

The last message of the agent that did the work: it was needed

## Approvals

- `plan`: Ada, 2026-01-02T03:04:05+00:00

## Issues

- Refs DSPX-1
{END}"""


def test_the_whole_text() -> None:
    assert render_handoff(FACTS) == TEXT


def test_without_words_it_says_what_was_asked_for() -> None:
    text = render_handoff(HandoffFacts("b" * 40, todo=("do it",), unchecked="none is listed"))
    assert "Its author left no summary. What was asked for:\n\n- do it\n" in text
    assert "- [ ] no check was run: none is listed" in text and "## Changes" not in text


def test_long_parts_are_cut_and_say_so() -> None:
    facts = HandoffFacts(
        "b" * 40,
        words="line\n" * 3000,
        paths=tuple(ChangedPath(f"f{n}", 1, 0) for n in range(200)),
        more_paths=1000,
        checks=tuple({"name": f"c{n}", "passed": True} for n in range(500)),
    )
    text = render_handoff(facts)
    assert "unchecked (the first 2000 characters):" in text and text.count("> line") == 40
    assert "1200 files" in text and "- and 1140 more" in text and "- and 440 more" in text
    assert len(text) < 20_000


FOREIGN = st.text("ab1<>!-=:\n\r`~#@_*[]()/|&$\\ é\u2028", max_size=40) | st.sampled_from(
    [BEGIN, END, "<!-- orchestr:end -->", "```\nx", "Depends-On: local://evil/pull/1", "## Plan"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(FOREIGN, min_size=3, max_size=3), FOREIGN)
def test_foreign_text_is_literal_and_the_part_is_found_again(words: list[str], person: str) -> None:
    block = wrap_block("f", "c", "ours")
    facts = HandoffFacts("c" * 40, agent=words[0], words="\n".join(words), plan=words[1],
                         deviation=(words[2],), explanation=words[0], todo=(words[1],),
                         paths=(ChangedPath(words[2], 1, 1),),
                         checks=({"name": words[0], "detail": words[1]},))  # fmt: skip
    part = render_handoff(facts)
    assert (part.count(BEGIN), part.count(END)) == (1, 1)
    assert read_depends_on(part) == ([], [])
    body = splice_handoff(splice_block("", block), part)
    assert read_handoff(body) == part and read_block(body) == block
    assert splice_handoff(body, part) == body and splice_block(body, block) == body
    other = splice_handoff(body, TEXT)
    assert read_handoff(other) == TEXT and other == splice_handoff(splice_block("", block), TEXT)


def test_what_a_person_wrote_around_it_stays() -> None:
    body = f"Hello\r\n\r\n{TEXT.replace(chr(10), chr(13) + chr(10))}\r\n\r\nBye\r\n"
    part = f"{BEGIN}\nnew\n{END}"
    assert splice_handoff(body, part) == f"Hello\r\n\r\n{BEGIN}\r\nnew\r\n{END}\r\n\r\nBye\r\n"
    assert splice_handoff("", part) == part
    twice = f"{TEXT}\n\nmine\n\n{TEXT}\n"
    assert splice_handoff(twice, part).count(BEGIN) == 1 and "mine" in splice_handoff(twice, part)


def test_issues_are_named_once_and_closed_by_nothing() -> None:
    texts = ("fix https://h/o/n/issues/3.", "see https://h/o/n/issues/3 and https://j/browse/A-1")
    assert find_issues("K-1", texts) == ("K-1", "https://h/o/n/issues/3", "https://j/browse/A-1")
    assert find_issues(None, ()) == ()


def test_the_summary_of_a_feature() -> None:
    rows = [("a", "local://x/pull/1", "draft"), ("push", "-", "no pull request")]
    assert render_feature_summary("The demo (T-1)", rows, [FACTS], ["tests: green"]) == (
        "The demo (T-1): 1 pull request, 2 files, +3 −1; 1 check green, 1 review\n"
        "cross checks: tests: green\n"
        "1. a     local://x/pull/1  draft\n"
        "2. push  -  no pull request\n"
    )
