"""Does exactly this commit have its evidence? Statements, records, git and signatures compared.

Offline. The statements are made again from the records as they are now and compared field by field
with those that were found, so whatever was changed on either side is a difference with a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestr.git.signatures import SignatureVerdict
from orchestr.provenance.gather import CellOrigin
from orchestr.provenance.records import HeadFact, LandingFact
from orchestr.provenance.statements import (
    EVIDENCE,
    LANDING,
    PROVENANCE,
    FoundStatement,
    find_differences,
)
from orchestr.provenance.traces import Trace

MOST = 5  # fields that differ
NAMES = {PROVENANCE: "provenance", EVIDENCE: "evidence", LANDING: "landing"}


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was compared, in words; ``ok``: it speaks for the commit, or not against."""

    name: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The commit that is asked about, by git."""

    repo: str
    commit: str
    tree: str


@dataclass(frozen=True, slots=True)
class CellNow:
    """A cell as its records are now, and the statements that they give; empty without records."""

    head: HeadFact | None = None
    landings: Sequence[LandingFact] = ()
    statements: Sequence[Mapping[str, Any]] = ()


def judge_commit(
    subject: Subject,
    found: Sequence[FoundStatement],
    read_cell: Callable[[str, str], CellNow],
) -> list[Point]:
    """The points about a commit by its statements, without signatures. Empty: no statement is
    about it. ``read_cell`` is asked for each feature and cell that a statement names."""
    mine = [one for one in found if subject.commit in one.commits]
    points: list[Point] = []
    for feature, cell in dict.fromkeys(one.cell for one in mine):
        name = f"{feature}:{cell}"
        theirs = [one for one in mine if one.cell == (feature, cell)]
        now = read_cell(feature, cell)
        kinds = {one.kind for one in theirs}
        for one in theirs:
            points += _judge_statement(one, subject, now, name)
        if kinds & {PROVENANCE, EVIDENCE}:
            points += _judge_head(kinds, subject, now, name)
        if LANDING in kinds:
            points += _judge_landing(subject, now, name)
    return points


def list_bad_lines(found: Sequence[FoundStatement], files: Sequence[Path]) -> list[Point]:
    """Lines of these files that are no statement."""
    return [
        Point("statement", False, f"{one.file.name}:{one.line}: {one.error}")
        for one in found
        if one.error and one.file in files
    ]


def judge_signature(file: Path, verdict: SignatureVerdict | None, *, needed: bool) -> Point:
    """What a file's signature says; None: it has none."""
    if verdict is None:
        return Point("signature", not needed, f"{file.name} is not signed")
    if verdict.valid:
        return Point("signature", True, f"{file.name} is signed by {verdict.signer}")
    return Point("signature", False, f"{file.name}: {verdict.reason}")


def _judge_statement(
    one: FoundStatement, subject: Subject, now: CellNow, name: str
) -> Iterator[Point]:
    """Its subject by git, and all of it by the records."""
    kind = NAMES.get(one.kind, one.kind or "unknown")
    label = f"{kind} of {name}"
    at = f"{one.file.name}:{one.line}"
    if one.commits != (subject.commit,) or one.trees != (subject.tree,):
        trees = ", ".join(tree[:12] for tree in one.trees)
        yield Point(
            "subject", False,
            f"{label} ({at}) is about tree {trees}, the commit has {subject.tree[:12]}",
        )  # fmt: skip
    else:
        yield Point("subject", True, f"{label} is about exactly this commit and tree")
    same = [
        other
        for other in now.statements
        if other["predicateType"] == one.kind
        and other["subject"][0]["digest"]["gitCommit"] == subject.commit
    ]
    if not same:
        yield Point("records", False, f"{label}: {_explain_absent(one.kind, now)}")
        return
    paths = list(find_differences(one.value, same[0]))
    if paths:
        more = f" and {len(paths) - MOST} more" if len(paths) > MOST else ""
        listed = ", ".join(paths[:MOST])
        text = f"{label} ({at}) differs from the records in {listed}{more}"
        yield Point("records", False, text)
    else:
        yield Point("records", True, f"{label} is what the records say")


def _explain_absent(kind: str, now: CellNow) -> str:
    head = now.head
    if kind == LANDING:
        return "the journal knows no such landing"
    if head is None:
        return "it has no records here (cleaned away, or renamed since: attest it again)"
    return f"the records are of head {head.head[:12]} now"


def _judge_head(kinds: set[str], subject: Subject, now: CellNow, name: str) -> Iterator[Point]:
    """Are the statements complete, the files ours, and the checks green on exactly this head?"""
    fact = now.head
    if fact is None or fact.head != subject.commit:
        return
    wanted = {EVIDENCE, PROVENANCE} if fact.by_agent else {EVIDENCE}
    for kind in sorted(wanted - kinds):
        yield Point("statement", False, f"{name} has no statement of {NAMES[kind]} here")
    for file in fact.broken_seals:
        yield Point("seal", False, f"{name}: {file} is not as orchestr wrote it")
    for reason in fact.missing:
        yield Point("records", False, f"{name}: {reason}")
    bad = [f"{one.name} {one.word}" for one in fact.checks if one.word != "passed"]
    if bad:
        yield Point("checks", False, f"{name}: {', '.join(bad)}")
    elif fact.checks and fact.checked != subject.commit:
        yield Point("checks", False, f"{name}: they are about head {fact.checked[:12]}")
    elif fact.checks:
        names = ", ".join(one.name for one in fact.checks)
        yield Point("checks", True, f"{name}: passed on this commit: {names}")
    else:
        yield Point("checks", True, f"{name} has no checks")


def _judge_landing(subject: Subject, now: CellNow, name: str) -> Iterator[Point]:
    """Did the merge queue check exactly this commit?"""
    for one in now.landings:
        if one.commit != subject.commit:
            continue
        if one.green is True:
            yield Point("checks", True, f"{name}: the merge queue found this commit green")
        else:
            why = "red" if one.green is False else "not checked, by the queue's journal"
            yield Point("checks", False, f"{name}: as it landed it was {why}")
        if one.undone:
            yield Point("landing", True, f"{name}: it was rolled back later")


def judge_without_statement(
    subject: Subject,
    found: Sequence[FoundStatement],
    origins: Sequence[CellOrigin],
    trace: Trace | None,
) -> list[Point]:
    """Why a commit without a statement fails, where something is known of it; else nothing. Pure.

    ``trace`` is what the records know of the commit, ``origins`` are the cells of its repository.
    """
    points: list[Point] = []
    attestable = False
    for one in found:
        if subject.tree in one.trees:
            name = ":".join(one.cell)
            other = ", ".join(commit[:12] for commit in one.commits)
            text = f"{name} has one of commit {other} with the same tree, none of this commit"
            points.append(Point("statement", False, text))
    for origin in origins:
        landed = any(one.commit == subject.commit for one in origin.landings)
        is_head = origin.head is not None and origin.head.head == subject.commit
        if landed or is_head:
            attestable = True
            what = "landed" if landed else "is the head of"
            name = origin.records.name
            text = f"it {what} {name} and has none: orchestr attest {origin.records.feature}"
            points.append(Point("statement", False, text))
    if trace is not None and not attestable:
        text = f"it is of {trace.feature}:{trace.cell}; only heads and landed commits have one"
        points.append(Point("statement", False, text))
    return list(dict.fromkeys(points))
