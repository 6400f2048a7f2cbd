"""What a spec may ask to be shown: every kind, every default, and who overrides whom."""

from __future__ import annotations

import json

import pytest

from orchestr.checks.kinds.api_probe import ApiProbeCheck, ServiceReadiness
from orchestr.checks.kinds.command import CommandCheck
from orchestr.checks.kinds.state_invariant import Probe, StateInvariantCheck
from orchestr.spec import checks as proof
from orchestr.spec.check_kinds import list_kinds
from orchestr.spec.checks import Gate, RepairRounds, Reviewer, ReviewRule
from orchestr.spec.reader import compile_spec
from orchestr.spec.records import Feature

HEAD = "apiVersion: orchestr/v1\nkind: Feature\nmetadata: {name: demo}\n"

EVERY_KIND = """\
cells:
  a:
    repo: r
    todo: [x]
    ports: true
    checks:
      - {kind: command, run: [make, test], exit: 3, output: /ok$/, cwd: sub, env: {MODE: ci},
         pass_env: [HOME], timeout: 1m, name: unit}
      - {kind: pytest, selector: a or b, args: [-x]}
      - {kind: junit, run: [mvn, test], reports: ["**/TEST-*.xml"]}
      - {kind: tests, run: [./run.sh]}
      - {kind: api_probe, start: [make, serve], ready: {path: /up, timeout: 5s}, method: POST,
         path: /items, headers: {X-A: b}, body: {n: 1}, status: 201, json: {id: 7}}
      - {kind: browser_journey, run: [npx, playwright], evidence: ["shots/*.png"]}
      - {kind: state_invariant, probes: {n: {run: [wc, -l]}, m: {url: "http://x:${BACKEND_PORT}/",
         json_path: a.b}}, expression: n == m}
      - {kind: import_check, module: a.b, version: ">=1.2"}
      - {kind: type_check, tool: pyright, paths: [src]}
      - {kind: exports, paths: ["api/*"], names: [A]}
      - {kind: diff_coverage, run: [make, cover], reports: [cover.xml], least: 90}
"""


def read(text: str) -> Feature:
    feature, _ = compile_spec((HEAD + text).encode(), "specs/demo.yaml", "", None)
    return feature


def test_every_kind_is_read_and_comes_back_from_its_row() -> None:
    checks = read(EVERY_KIND).cells[0].proof.checks

    assert [check.kind for check in checks] == [
        "command", "pytest", "junit", "tests", "api_probe", "browser_journey", "state_invariant",
        "import_check", "type_check", "exports", "diff_coverage",
    ]  # fmt: skip
    assert {check.kind for check in checks} == set(list_kinds())
    for check in checks:
        assert proof.check_from_row(json.loads(json.dumps(proof.check_to_row(check)))) == check
    assert checks[0] == CommandCheck(
        name="unit", timeout=60.0, cwd="sub", env=(("MODE", "ci"),), pass_env=("HOME",),
        run=("make", "test"), exit=3, output="/ok$/",
    )  # fmt: skip
    assert checks[4] == ApiProbeCheck(
        name="api_probe",
        timeout=30.0,
        start=("make", "serve"),
        ready=ServiceReadiness("/up", 5.0),
        method="POST",
        path="/items",
        headers=(("X-A", "b"), ("Content-Type", "application/json")),
        body='{"n":1}',
        status=201,
        json='{"id":7}',
    )
    assert checks[6] == StateInvariantCheck(
        name="state_invariant", timeout=30.0, expression="n == m",
        probes=(Probe("n", ("wc", "-l")),
                Probe("m", (), "http://x:${BACKEND_PORT}/", "a.b")),
    )  # fmt: skip


def test_defaults_of_each_kind() -> None:
    checks = read(EVERY_KIND).cells[0].proof.checks

    assert [check.timeout for check in checks] == [60, 300, 600, 300, 30, 600, 30, 60, 300, 60, 600]
    (plain,) = (
        read("cells: {a: {repo: r, todo: [x], ports: true, checks: [{kind: api_probe, path: /}]}}")
        .cells[0]
        .proof.checks
    )
    assert isinstance(plain, ApiProbeCheck)
    assert (plain.method, plain.status, plain.ready.timeout) == ("GET", 200, 30.0)


def test_checks_without_a_name_are_numbered() -> None:
    checks = read(
        "cells: {a: {repo: r, todo: [x], checks: [{kind: pytest}, {kind: pytest, name: pytest-2},"
        " {kind: pytest}, {kind: tests, run: [x]}]}}"
    ).cells[0].proof.checks  # fmt: skip

    assert [check.name for check in checks] == ["pytest", "pytest-2", "pytest-3", "tests"]


def test_cell_goes_over_defaults_goes_over_feature() -> None:
    feature = read("""\
approve: publish
repair: {checks: 1, reviews: 1}
defaults:
  checks: [{kind: pytest}]
  reviewers: [{agent: r1}, {agent: r1, model: m, timeout: 5m}]
  review_rule: majority
  repair: {reviews: 2}
  ports: true
cells:
  a: {repo: r, todo: [x]}
  b: {repo: r, todo: [x], checks: [], reviewers: [], review_rule: all, approve: [publish, plan],
      repair: {checks: 0}, ports: false, allow_partial: true, allow_skipped_tests: true,
      test_first: true, shared_paths: [go.sum],
      screenshots: [{kind: command, run: [./shot.sh]}]}
""")

    a, b = (cell.proof for cell in feature.cells)
    assert a.reviewers == (Reviewer("r1", "r1"), Reviewer("r1", "r1-2", "m", 300.0))
    assert (a.review_rule, a.repair, a.approve, a.ports) == (
        ReviewRule.MAJORITY, RepairRounds(1, 2), (Gate.PUBLISH,), True,
    )  # fmt: skip
    assert [check.kind for check in a.checks] == ["pytest"]
    assert b == proof.ProofRequirements(
        checks=(), reviewers=(), review_rule=ReviewRule.ALL, approve=(Gate.PLAN, Gate.PUBLISH),
        repair=RepairRounds(0, 2), shared_paths=("go.sum",), allow_partial=True,
        allow_skipped_tests=True, test_first=True, ports=False, screenshots=b.screenshots,
    )  # fmt: skip
    assert [shot.name for shot in b.screenshots] == ["screenshot"]


def test_nothing_asked_is_the_usual() -> None:
    feature = read("cells: {a: {repo: r, todo: [x]}}")

    assert feature.cells[0].proof == proof.NOTHING == proof.ProofRequirements()
    assert (feature.cross_checks, feature.contracts) == ((), ())
    assert proof.NOTHING.repair == RepairRounds(checks=4, reviews=3)


def test_cross_checks_and_contracts() -> None:
    feature = read("""\
cross_checks:
  - {kind: pytest, repo: r}
  - {kind: command, repo: s, run: [make]}
contracts: [{path: "api/**", owner: a}]
cells: {a: {repo: r, todo: [x]}, b: {repo: s, todo: [x]}}
""")

    assert [(cross.repo, cross.check.name) for cross in feature.cross_checks] == [
        ("r", "pytest"), ("s", "command"),
    ]  # fmt: skip
    assert feature.contracts == (proof.Contract("api/**", "a"),)


@pytest.mark.parametrize("form", ["checks", "screenshots"])
def test_the_opentdf_form_has_them_too(form: str) -> None:
    text = (
        "apiVersion: opentdf.io/v1alpha1\nkind: Feature\nmetadata: {name: demo}\n"
        f"repos: {{a: {{path: r, todo: [x], {form}: [{{kind: command, run: [make]}}]}}}}\n"
    )

    feature, _ = compile_spec(text.encode(), "x.yaml", "", None)

    assert len(getattr(feature.cells[0].proof, form)) == 1
