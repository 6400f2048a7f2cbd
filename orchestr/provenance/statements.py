"""Facts as in-toto statements (v1), and back from the bytes of a file. Pure.

A head has two statements with the same subject: SLSA provenance v1 (what it was made from, by
what) and the evidence for it (checks, reviews, approvals, digests of the files). One that no agent
of ours made (a person's commits; nothing had to be changed) has the evidence alone: we did not
build it. A landed commit has one. The same facts give the same bytes: a line of canonical JSON
each, no time of writing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestr.provenance.records import HeadFact, LandingFact

TYPE = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
EVIDENCE = "urn:orchestr:evidence:v1"
LANDING = "urn:orchestr:landing:v1"
BUILD = "urn:orchestr:cell:v1"
BUILDER = "urn:orchestr:builder"
SUFFIX = ".intoto.jsonl"
Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FoundStatement:
    """A line of a file. ``error`` says why it is no statement; ``value`` is empty then."""

    file: Path
    line: int
    value: Mapping[str, Any]
    error: str = ""

    @property
    def kind(self) -> str:
        return str(self.value.get("predicateType") or "")

    @property
    def commits(self) -> tuple[str, ...]:
        """The commits that it is about."""
        return tuple(digest.get("gitCommit", "") for digest in self._digests())

    @property
    def trees(self) -> tuple[str, ...]:
        return tuple(digest.get("gitTree", "") for digest in self._digests())

    @property
    def cell(self) -> tuple[str, str]:
        """The feature and the cell that it names; "" where it names none."""
        predicate = _as_table(self.value.get("predicate"))
        if self.kind == PROVENANCE:
            predicate = _as_table(
                _as_table(predicate.get("buildDefinition")).get("externalParameters")
            )
        return str(predicate.get("feature") or ""), str(predicate.get("cell") or "")

    def _digests(self) -> Iterator[dict[str, str]]:
        subjects = self.value.get("subject")
        for one in subjects if isinstance(subjects, list) else ():
            digest = _as_table(_as_table(one).get("digest"))
            yield {key: value for key, value in digest.items() if isinstance(value, str)}


def head_statements(fact: HeadFact) -> tuple[Table, ...]:
    """The provenance of a head where an agent made it, and the evidence for it."""
    subject = [_make_subject(fact.repo, fact.head, fact.tree)]
    evidence = _make_statement(subject, EVIDENCE, _describe_evidence(fact))
    if not fact.by_agent:
        return (evidence,)
    return _make_statement(subject, PROVENANCE, _describe_making(fact)), evidence


def landing_statement(fact: LandingFact, repo: str, tree: str) -> Table:
    """That ``fact.commit``, with this tree, is what the target was moved to."""
    predicate = {
        "feature": fact.feature,
        "cell": fact.cell,
        "repository": repo,
        "target": fact.target,
        "before": fact.before,
        "head": fact.head,
        "run": fact.run,
        "landedOn": _format_utc(fact.at),
        "resolved": list(fact.resolved),
        "checked": fact.green,
    }
    return _make_statement([_make_subject(repo, fact.commit, tree)], LANDING, predicate)


def encode_statements(statements: Iterable[Mapping[str, Any]]) -> bytes:
    """JSON lines, keys sorted: the same facts are the same bytes."""
    lines = (
        json.dumps(one, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        for one in statements
    )
    return "".join(f"{line}\n" for line in lines).encode()


def parse_statements(path: Path, data: bytes) -> Iterator[FoundStatement]:
    """Every line of a file of statements with this content; one that is none has an ``error``."""
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line:
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict) or value.get("_type") != TYPE:
            yield FoundStatement(path, number, {}, "it is no in-toto statement (v1)")
        else:
            yield FoundStatement(path, number, value)


def locate_signature(file: Path) -> Path:
    """Where the signature of a file of statements lies."""
    return file.with_name(f"{file.name}.sig")


def find_differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """The paths of the fields in which two statements differ: `predicate.checks.commit`. An
    entry of a list goes by its name, if it has the same in both. Pure."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            below = f"{path}.{key}" if path else str(key)
            if (key in old) != (key in new):
                yield below
            else:
                yield from find_differences(old[key], new[key], below)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            name = _as_table(one).get("name")
            key = name if name and name == _as_table(other).get("name") else number
            yield from find_differences(one, other, f"{path}[{key}]")
    elif type(old) is not type(new) or old != new:
        yield path


def _describe_making(fact: HeadFact) -> Table:
    author = fact.author
    inputs: Table = {
        "feature": fact.feature,
        "cell": fact.cell,
        "repository": fact.repo,
        "branch": fact.branch,
        "inputsDigest": fact.key,
    }
    internal = {
        "agent": fact.agent,
        "model": fact.model,
        "version": author.version if author is not None else "",
    }
    needed: list[Table] = [{"name": "base", "digest": {"gitCommit": fact.base}}]
    # `tree` of an upstream holds its tree, and where a fresh start replaced it the commit.
    needed += [
        {"name": f"upstream {name}", "digest": {"gitTree": tree.split(" ")[0]}}
        for name, tree in fact.upstreams
    ]
    if author is not None and author.prompt:
        needed.append({"name": "prompt", "digest": {"sha256": author.prompt}})
    metadata: Table = {"invocationId": f"{fact.name}/{fact.attempt}"}
    if fact.opened_at:
        metadata["startedOn"] = _format_utc(fact.opened_at)
    if fact.closed_at:
        metadata["finishedOn"] = _format_utc(fact.closed_at)
    return {
        "buildDefinition": {
            "buildType": BUILD,
            "externalParameters": inputs,
            "internalParameters": {name: value for name, value in internal.items() if value},
            "resolvedDependencies": needed,
        },
        "runDetails": {"builder": {"id": BUILDER}, "metadata": metadata},
    }


def _describe_evidence(fact: HeadFact) -> Table:
    reviewers = {one.part: one for one in fact.starts if one.part}
    return {
        "feature": fact.feature,
        "cell": fact.cell,
        "outcome": fact.outcome,
        "partial": fact.partial,
        "runs": list(fact.runs),
        "checks": {
            "commit": fact.checked,
            "results": [
                {"name": one.name, "kind": one.kind, "result": one.word} for one in fact.checks
            ],
        },
        "reviews": {
            "commit": fact.reviewed,
            "results": [
                {
                    "reviewer": one.reviewer,
                    "verdict": one.verdict,
                    "agent": reviewers[one.reviewer].agent if one.reviewer in reviewers else "",
                    "model": one.model,
                }
                for one in fact.reviews
            ],
        },
        "approvals": [
            {"gate": one.gate, "verdict": one.verdict, "by": one.who, "on": _format_utc(one.at),
             "of": one.digest}
            for one in fact.approvals
        ],
        "repairs": [
            {"round": one.number, "phase": one.phase, "before": one.before, "after": one.after}
            for one in fact.repairs
        ],
        "files": [{"name": one.name, "digest": {"sha256": one.sha256}} for one in fact.files],
    }  # fmt: skip


def _make_statement(subject: list[Table], kind: str, predicate: Table) -> Table:
    return {"_type": TYPE, "subject": subject, "predicateType": kind, "predicate": predicate}


def _make_subject(repo: str, commit: str, tree: str) -> Table:
    return {"name": repo, "digest": {"gitCommit": commit, "gitTree": tree}}


def _format_utc(time: str) -> str:
    """RFC 3339 with `Z`, as in-toto has times."""
    return time.removesuffix("+00:00") + "Z" if time.endswith("+00:00") else time


def _as_table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
