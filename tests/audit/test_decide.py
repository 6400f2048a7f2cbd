"""The loop of the audit, pure: it ends, loses no finding, repairs nothing without evidence."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestr.audit.answer import parse_findings
from orchestr.audit.decide import (
    MOST_REPAIRS,
    AuditDecision,
    CellScope,
    Fate,
    OwnerFinder,
    SeriesState,
    decide,
)
from orchestr.audit.evidence import choose_causes
from orchestr.audit.findings import (
    Finding,
    FindingState,
    Place,
    Verdict,
    judge_findings,
    make_finding,
    red_digest,
)
from orchestr.cell.agent.verdict import UnreadableAnswer

REPOS = ("app", "lib", "")
PATHS = ("a.py", "b.py", "src/c.py", "api/d.proto", "e")
PATTERNS = ("a.py", "src/**", "api/**", "*.py")

places = st.builds(Place, st.sampled_from(REPOS), st.sampled_from(PATHS), st.integers(0, 3))
findings = st.builds(
    lambda statement, state, evidence, where: make_finding(
        "auditor eve", statement, state, evidence=evidence, places=where
    ),
    st.sampled_from("abcdef"),
    st.sampled_from(list(FindingState)),
    st.sampled_from(("", "  ", "line 3")),
    st.lists(places, max_size=3),
)


@st.composite
def scopes(draw: st.DrawFn) -> list[CellScope]:
    """Cells in plan order: upstreams come first."""
    found: list[CellScope] = []
    for number in range(draw(st.integers(1, 5))):
        names = [one.name for one in found]
        near = draw(st.sets(st.sampled_from(names))) if names else set()
        far = {up for one in found if one.name in near for up in one.upstreams}
        found.append(
            CellScope(
                f"c{number}",
                draw(st.sampled_from(REPOS[:2])),
                tuple(draw(st.sets(st.sampled_from(PATTERNS), max_size=1))),
                tuple(draw(st.sets(st.sampled_from(PATTERNS), max_size=2))),
                frozenset(draw(st.sets(st.sampled_from(PATHS)))),
                frozenset(near | far),
                draw(st.sampled_from(("", "", "it has landed"))),
            )
        )
    return found


series = st.builds(SeriesState, st.integers(0, 5), st.integers(0, 8), st.just(""))


def check_all(found: Sequence[Finding], cells: Sequence[CellScope], made: AuditDecision) -> None:
    """What holds of every decision."""
    by_name = {cell.name: cell for cell in cells}
    assert len(made.fates) == len(found)  # none is lost
    for one, fate in zip(found, made.fates, strict=True):
        red = one.state in (FindingState.FAILED, FindingState.PARTIAL)
        if one.state is FindingState.PASSED:
            assert fate.fate is Fate.NONE
        elif one.state is FindingState.NOT_EVALUATED:
            assert fate.fate is Fate.NOT_EVALUATED
        else:
            assert fate.fate in (Fate.REPAIR, Fate.WAITS, Fate.NEEDS_PERSON, Fate.STOPPED)
            assert fate.owners or fate.fate is Fate.NEEDS_PERSON
        if fate.fate is Fate.REPAIR:
            assert red and one.evidence.strip() and set(fate.owners) <= set(made.owners)
        if fate.fate is Fate.WAITS:
            assert made.owners  # something goes on, else nothing would be waited for
    for owner in made.owners:
        assert not by_name[owner].refusal and not by_name[owner].upstreams & set(made.owners)
        mine = [one for one, fate in zip(found, made.fates, strict=True)
                if fate.fate is Fate.REPAIR and owner in fate.owners]  # fmt: skip
        assert mine  # no repair without a finding
    assert not (made.owners and made.stop)


@settings(max_examples=150, deadline=None)
@given(st.lists(findings, max_size=6), scopes(), series, st.integers(0, 5))
def test_every_finding_has_one_fate_and_no_repair_is_without_evidence(
    found: list[Finding], cells: list[CellScope], state: SeriesState, most: int
) -> None:
    check_all(found, cells, decide(found, cells, state, most_rounds=most))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(findings, max_size=5), min_size=1, max_size=12), scopes(),
       st.integers(0, 8))  # fmt: skip
def test_the_loop_ends(audits: list[list[Finding]], cells: list[CellScope], most: int) -> None:
    """Whatever each audit finds: so many rounds and repairs at most, then it is over."""
    state, rounds, repairs = SeriesState(), 0, 0
    for found in audits * (MOST_REPAIRS + 1):  # one more than there are repairs, at the least
        made = decide(found, cells, state, most_rounds=most)
        check_all(found, cells, made)
        if not made.owners:
            break
        assert red_digest(found) != state.red or not state.rounds
        rounds, repairs = rounds + 1, repairs + len(made.owners)
        state = SeriesState(rounds, repairs, red_digest(found))
    else:
        pytest.fail("it goes on for ever")
    assert rounds <= most and repairs <= MOST_REPAIRS


def red(*where: tuple[str, str], statement: str = "it works") -> Finding:
    return make_finding("auditor eve", statement, FindingState.FAILED, evidence="line 3",
                        places=[Place(repo, path) for repo, path in where])  # fmt: skip


API = CellScope("api", "app", contracts=("api/**",), owned=("api/**",))
WEB = CellScope("web", "app", owned=("web/**",), changed=frozenset({"Makefile"}))
SDK = CellScope("sdk", "sdk", upstreams=frozenset({"api"}))
ALL = (API, WEB, SDK)


@pytest.mark.parametrize(("place", "owner"), [
    (Place("app", "api/keys.proto"), "api"),
    (Place("", "api/keys.proto"), "api"),
    (Place("app", "web/page.ts"), "web"),
    (Place("app", "Makefile"), "web"),
    (Place("app", "COPYING"), None),
    (Place("sdk", "whatever.go"), "sdk"),
    (Place("", "whatever.go"), None),
])  # fmt: skip
def test_a_file_leads_to_its_owner(place: Place, owner: str | None) -> None:
    assert OwnerFinder(ALL).find_owner(place) == owner


def test_an_upstream_is_repaired_before_what_builds_on_it() -> None:
    found = [red(("sdk", "x.go")), red(("app", "api/a")), red(("app", "web/b"))]
    made = decide(found, ALL, SeriesState(), most_rounds=4)
    assert made.owners == ("api", "web")
    assert [one.fate for one in made.fates] == [Fate.WAITS, Fate.REPAIR, Fate.REPAIR]


def test_what_no_cell_owns_needs_a_person_and_does_not_stop_the_rest() -> None:
    found = [red(("app", "COPYING")), red(), red(("app", "web/b"))]
    made = decide(found, ALL, SeriesState(), most_rounds=4)
    assert [one.fate for one in made.fates] == [Fate.NEEDS_PERSON, Fate.NEEDS_PERSON, Fate.REPAIR]
    assert made.fates[0].why == "no cell owns app/COPYING" and made.owners == ("web",)


@pytest.mark.parametrize(("state", "most", "stop"), [
    (SeriesState(), 0, "no repairs are allowed (repair: {audit: 0})"),
    (SeriesState(1, 1, red_digest([red(("app", "web/b"))])), 4,
     "the same is red after the last repair"),
    (SeriesState(2, 2, "other"), 2, "2 of 2 rounds of repair made"),
    (SeriesState(3, 6, "other"), 4, "6 of 6 repairs made"),
])  # fmt: skip
def test_it_stops(state: SeriesState, most: int, stop: str) -> None:
    made = decide([red(("app", "web/b"))], ALL, state, most_rounds=most)
    assert (made.stop, made.owners, made.fates[0].fate) == (stop, (), Fate.STOPPED)


@pytest.mark.parametrize(("states", "cap", "verdict"), [
    ("", "", Verdict.NOT_EVALUATED),
    ("p", "", Verdict.PASSED),
    ("p", "the chain is broken", Verdict.PARTIAL),
    ("pn", "the chain is broken", Verdict.NOT_EVALUATED),
    ("pa", "", Verdict.PARTIAL),
    ("pnaf", "the chain is broken", Verdict.FAILED),
])  # fmt: skip
def test_the_verdict_is_that_of_the_worst_finding(states: str, cap: str, verdict: Verdict) -> None:
    words = {"p": FindingState.PASSED, "a": FindingState.PARTIAL, "f": FindingState.FAILED,
             "n": FindingState.NOT_EVALUATED}  # fmt: skip
    found = [make_finding("x", one, words[one], evidence="line 1") for one in states]
    assert judge_findings(found, cap) is verdict


STATEMENTS = ("it greets", "it is fast")


def answer(text: str) -> list[Finding]:
    return list(parse_findings("auditor eve", text, STATEMENTS, ("app", "lib"))[1])


def test_a_statement_that_is_left_out_is_not_evaluated() -> None:
    first, second = answer('prose\n{"summary": "", "findings": [{"statement": "2", "state": '
                           '"failed", "evidence": "e", "detail": "", "places": '
                           '[{"repo": "", "path": "lib/a.py", "line": 3}]}]}')  # fmt: skip
    assert (first.statement, first.places) == ("it is fast", (Place("lib", "a.py", 3),))
    assert (second.statement, second.state) == ("it greets", FindingState.NOT_EVALUATED)


@pytest.mark.parametrize("text", [
    "", "all is well", '{"findings": 3}', '{"summary": 3, "findings": []}',
    '{"summary": "", "findings": [], "more": 1}',
    '{"summary": "", "findings": [{"statement": "9", "state": "passed"}]}',
    '{"summary": "", "findings": [{"statement": " ", "state": "passed"}]}',
    '{"summary": "", "findings": [{"statement": "1", "state": "great"}]}',
    '{"summary": "", "findings": [{"statement": "1", "state": "failed", "evidence": "e", '
    '"places": [{"repo": "other", "path": "a", "line": null}]}]}',
    '{"summary": "", "findings": []} and more',
])  # fmt: skip
def test_another_answer_is_no_verdict(text: str) -> None:
    with pytest.raises(UnreadableAnswer):
        answer(text)


def test_a_test_that_shows_a_fault_is_not_its_cause() -> None:
    test, code, other = (Place("tests", "x/test_a.py"), Place("sdk", "cli.sh"),
                         Place("sdk", "README.md"))  # fmt: skip
    changed = {test, code}.__contains__
    assert choose_causes([test, code], [test, code], changed) == [code]
    assert choose_causes([test], [test, other, code], changed) == [code]  # named in its message
    assert choose_causes([test], [test, other], changed) == [test]
    assert choose_causes([], [other], changed) == [other]
