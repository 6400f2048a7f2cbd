"""What the local CI's program prints: bounded, read line by line, never trusted."""

from __future__ import annotations

import pytest

from orchestr.forges import ci_output
from orchestr.forges.ci_output import CiOutput, read_annotation, select_log
from orchestr.forges.followed import Annotation, CheckState, CiCheck
from orchestr.forges.local_ci import CiOutcome, judge_end
from orchestr.process.run import CompletedCommand


def read(*chunks: bytes) -> CiOutput:
    output = CiOutput()
    for chunk in chunks:
        output.add_output(chunk)
    output.finish_log()
    return output


def test_lines_are_read_wherever_they_are_cut() -> None:
    text = b"x\n::error file=a.py,line=3::no 100%25\r\n::check unit (a@b) failure\n"
    text += b"::check lint success"
    whole = read(text)
    assert whole.checks == read(*(bytes([byte]) for byte in text)).checks
    places = (Annotation("a.py", 3, "no 100%"),)
    assert whole.judge_checks(CheckState.SUCCESS, "") == (
        CiCheck("unit (a@b)", CheckState.FAILURE, annotations=places),
        CiCheck("lint", CheckState.SUCCESS),
    )


def test_a_check_that_is_named_twice_is_what_it_was_last() -> None:
    output = read(b"::check a failure\n::check a success\n")
    assert output.judge_checks(CheckState.SUCCESS, "") == (CiCheck("a", CheckState.SUCCESS),)


def test_a_red_end_is_seen_besides_green_checks() -> None:
    output = read(b"::check a success\n::error file=b,line=1::m\n")
    assert output.judge_checks(CheckState.FAILURE, "exit 1") == (
        CiCheck("a", CheckState.SUCCESS),
        CiCheck("ci", CheckState.FAILURE, summary="exit 1", annotations=(Annotation("b", 1, "m"),)),
    )
    assert read(b"::check ci success\n").judge_checks(CheckState.CANCELLED, "x") == (
        CiCheck("ci", CheckState.CANCELLED, summary="x"),
    )


def test_places_after_the_last_check_belong_to_it() -> None:
    output = read(b"::check a failure\n::error file=b::m\n")
    places = (Annotation("b", 0, "m"),)
    assert output.judge_checks(CheckState.SUCCESS, "")[0].annotations == places


@pytest.mark.parametrize(
    ("properties", "found"),
    [
        ("file=a/b.py,line=7,col=2", ("a/b.py", 7)),
        ("line=7,file=./a", ("a", 7)),
        ("file=a%2Cb", ("a,b", 0)),
        ("file=a,line=x", ("a", 0)),
        ("file=a,line=99999999999", ("a", 0)),
        ("file=/etc/passwd", None),
        ("file=a/../../b", None),
        ("title=x", None),
        ("file=", None),
        ("file=\x1b[31ma\x00", ("a", 0)),
    ],
)
def test_places_are_in_the_checkout(properties: str, found: tuple[str, int] | None) -> None:
    place = read_annotation(properties, "m")
    assert (place and (place.path, place.line)) == found


def test_everything_is_bounded() -> None:
    output = CiOutput()
    output.add_output(b"first line\n")
    for number in range(300):
        output.add_output(f"::check {number} success\n".encode())
        output.add_output(b"::error file=a,line=1::m\n" * 300 + b"z" * 20_000 + b"\n")
    output.add_output(b"\n::check " + b"n" * 100_000 + b" success\nlast line\n")
    log = output.finish_log()
    assert log.startswith(b"first line\n")
    assert log.endswith(b"last line\n")
    assert len(log) <= ci_output.HEAD + ci_output.TAIL + 100
    assert f"[... {output.dropped} bytes ...]".encode() in log
    assert len(output.checks) == ci_output.CHECKS
    assert max(len(c.annotations) for c in output.checks.values()) <= ci_output.ANNOTATIONS


def test_the_log_of_a_check_begins_after_the_one_before() -> None:
    log = "a\n::check one success\nb\n::check two failure\nc\n"
    assert select_log(log, "two") == "b\n::check two failure"
    assert select_log(log, "ci") == log


@pytest.mark.parametrize(
    ("code", "err", "red", "full", "outcome"),
    [
        (0, b"", False, True, CiOutcome(CheckState.SUCCESS, exit=0)),
        (1, b"", False, False, CiOutcome(CheckState.FAILURE, "exit 1", 1)),
        (127, b"", True, False, CiOutcome(CheckState.FAILURE, "exit 127", 127)),
        (
            1, b"", False, True,
            CiOutcome(CheckState.CANCELLED, "exit 1, and the disk is full", 1, True),
        ),
        (
            1, b"bwrap: no namespaces\n", False, False,
            CiOutcome(
                CheckState.CANCELLED,
                "its sandbox could not be entered: bwrap: no namespaces", 1, True,
            ),
        ),
    ],
)  # fmt: skip
def test_what_the_machine_lacked_is_not_red(
    code: int, err: bytes, red: bool, full: bool, outcome: CiOutcome
) -> None:
    done = CompletedCommand(("sh",), code, b"", err, 0.1)
    assert judge_end(done, named_red=red, is_full=full) == outcome
