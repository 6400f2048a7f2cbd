"""What a contract promises: checks of its owner."""

from __future__ import annotations

import json

import pytest

from orchestr.errors import SpecError
from orchestr.spec import cache
from orchestr.spec.checks import AmendMode, Contract
from orchestr.spec.lock import build_spec_lock, compare_spec_to_lock
from orchestr.spec.reader import compile_spec
from orchestr.spec.records import Feature

SPEC = """\
apiVersion: orchestr/v1
kind: Feature
metadata: {name: f}
contracts:
  - {path: api/*.txt, owner: api, amend: auto, exports: [Search, Day], probes: [[make, try]]}
  - {path: other, owner: api, exports: [X]}
cells:
  api: {repo: r, todo: [x], checks: [{kind: command, name: contract probe, run: [a]}]}
  use: {repo: r, todo: [x], depends_on: [api]}
"""


def read(text: str = SPEC) -> Feature:
    return compile_spec(text.encode(), "specs/f.yaml", "", None)[0]


def test_exports_and_probes_are_checks_of_the_owner() -> None:
    feature = read()
    assert feature.contracts[0] == Contract(
        "api/*.txt", "api", AmendMode.AUTO, ("Search", "Day"), (("make", "try"),)
    )
    checks = [(c.name, c.kind) for c in feature.cell("api").proof.checks]
    assert checks == [
        ("contract probe", "command"),
        ("contract exports", "exports"),
        ("contract probe 2", "command"),
        ("contract exports 2", "exports"),
    ]
    assert feature.cell("use").proof.checks == ()
    value = json.loads(json.dumps(cache.encode_compiled((feature, ()))))
    assert cache.decode_compiled(value) == (feature, ())


def test_a_promise_that_is_taken_back_is_a_locked_change() -> None:
    lock = build_spec_lock(read(), at="", who="")
    less = compare_spec_to_lock(lock, read(SPEC.replace("[Search, Day]", "[Search]")))
    more = compare_spec_to_lock(lock, read(SPEC.replace("[Search, Day]", "[Search, Day, Y]")))
    assert [(c.tier, c.field) for c in less if c.needs_amendment] == [
        ("locked", "cells.api.checks.contract exports")
    ]
    assert not any(change.needs_amendment for change in more)


def test_an_owner_that_runs_no_checks_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        read(SPEC.replace("api: {repo: r,", "api: {repo: r, phases: [implement],"))
    assert "specs/f.yaml:5:5: error: contracts[0]: cell api has no phase `check`" in str(
        caught.value.message
    )
