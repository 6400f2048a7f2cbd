"""The lock of a spec, pure: what is locked, which changes are free, and its chain of amendments."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestr.codec import replace
from orchestr.errors import SpecError
from orchestr.spec.lock import (
    SpecLock,
    Tier,
    amend_lock,
    build_spec_lock,
    compare_spec_to_lock,
    encode_spec_lock,
    find_chain_fault,
    read_spec_lock,
)
from orchestr.spec.reader import compile_spec
from orchestr.spec.records import Feature

BASE = """\
apiVersion: orchestr/v1
kind: Feature
metadata: {name: keys, title: Keys}
intent: Keys outlive quantum.
done_means: [a key made by Java is read by Go]
non_goals: [hybrid keys]
cross_checks: [{kind: command, repo: app, run: [make, all]}]
auditors: [{agent: claude}, {agent: codex}]
cells:
  proto:
    repo: app
    todo: [one]
    checks: [{kind: command, name: unit, run: [make, test]}, {kind: command, run: [make, lint]}]
  web:
    repo: web
    reviewers: [{agent: claude}, {agent: claude}]
    approve: [publish]
    checks:
      - {kind: api_probe, name: up, start: [serve], path: /h, json: {a: 1}, timeout: 20s}
    ports: true
"""


@cache
def read(text: str = BASE) -> Feature:
    return compile_spec(text.encode(), "specs/keys.yaml", "", None)[0]


def lock_of(text: str = BASE) -> SpecLock:
    return build_spec_lock(read(text), at="2026-01-01T00:00:00+00:00", who="Ada <ada@example.org>")


def amend(lock: SpecLock, text: str, reason: str = "why") -> SpecLock:
    return amend_lock(lock, read(text), at="2026-01-02T00:00:00+00:00", who="Ada", reason=reason)[0]


def found(text: str, lock: SpecLock | None = None) -> list[tuple[str, str]]:
    changes = compare_spec_to_lock(lock or lock_of(), read(text))
    return [(str(change.tier), change.field) for change in changes]


FREE = [
    ("todo: [one]", "todo: [one, two]", ["cells.proto.todo"]),
    ("title: Keys", "title: New keys", ["title"]),
    ("{agent: codex}]\ncells", "{agent: codex}, {agent: codex}]\ncells", ["auditors"]),
    ("[{agent: claude}, {agent: codex}]", "[{agent: codex}, {agent: claude}]", []),
    ("repo: web", "repo: web\n    agent: codex", ["cells.web.agent"]),
    ("20s", "10s", ["cells.web.checks.up"]),
    ("run: [make, test]}", "run: [make, test], output: ok}", ["cells.proto.checks.unit"]),
    (
        "{kind: command, run: [make, lint]}",
        "{kind: command, run: [a]}, {kind: command, run: [make, lint]}",
        ["cells.proto.checks.command", "cells.proto.checks.command-2"],
    ),
    ("name: unit", "name: units", ["cells.proto.checks.unit", "cells.proto.checks.units"]),
    ("approve: [publish]", "approve: [plan, publish]", ["cells.web.requires"]),
    ("cells:\n", "cells:\n  new: {repo: app, todo: [x], checks: none}\n", ["cells.new"]),
]
LOCKED = [
    ("Keys outlive", "Locks outlive", "intent", "intent"),
    ("intent: Keys outlive quantum.\n", "", "intent", "intent"),
    ("read by Go", "read by C", "locked", "done_means"),
    ("[hybrid keys]", "[hybrid keys, x]", "locked", "non_goals"),
    ("[make, all]", "[make]", "locked", "cross_checks"),
    (", {agent: codex}]", "]", "locked", "auditors"),
    ("auditors: [{agent: claude}, {agent: codex}]\n", "", "locked", "auditors"),
    ("cells:", "product: library\ncells:", "locked", "product"),
    ("  web:", "  site:", "locked", "cells.web"),
    ("  web:", "  site:\n    was: web", "locked", "cells.web"),
    ("[make, test]", "['true']", "locked", "cells.proto.checks.unit"),
    ("run: [make, test]", "run: [make, test], exit: 1", "locked", "cells.proto.checks.unit"),
    (", {kind: command, run: [make, lint]}", "", "locked", "cells.proto.checks.command"),
    ("20s", "1h", "locked", "cells.web.checks.up"),
    (", json: {a: 1}", "", "locked", "cells.web.checks.up"),
    (", {agent: claude}]", "]", "locked", "cells.web.reviewers.claude-2"),
    ("{agent: claude}]", "{agent: codex}]", "locked", "cells.web.reviewers.claude-2"),
    ("approve: [publish]", "approve: []", "locked", "cells.web.requires"),
    ("ports: true", "ports: true\n    review_rule: all", "locked", "cells.web.requires"),
    ("ports: true", "ports: true\n    allow_partial: true", "locked", "cells.web.requires"),
    ("repo: web", "repo: web\n    phases: [implement, review, publish]", "locked",
     "cells.web.requires"),
]  # fmt: skip


def test_what_is_as_it_was_differs_in_nothing() -> None:
    assert found(BASE) == []
    assert found(BASE + "# a comment\nlock: true\n") == []


@pytest.mark.parametrize(("old", "new", "fields"), FREE)
def test_free_changes_pass_and_are_named(old: str, new: str, fields: list[str]) -> None:
    assert old in BASE
    assert found(BASE.replace(old, new)) == [("free", field) for field in fields]


@pytest.mark.parametrize(("old", "new", "tier", "field"), LOCKED)
def test_locked_changes_are_found_and_an_amendment_takes_them_in(
    old: str, new: str, tier: str, field: str
) -> None:
    assert old in BASE
    text, lock = BASE.replace(old, new), lock_of()
    assert (tier, field) in found(text)

    after = amend(lock, text)

    assert found(text, after) == []
    assert (field, "why", Tier(tier)) in [(e.field, e.reason, e.tier) for e in after.amendment]
    assert find_chain_fault(after) is None
    assert amend(after, text) == after
    back = amend(after, BASE)
    assert back.values == lock.values
    assert find_chain_fault(back) is None


def test_what_comes_from_variables_and_matrices_counts_as_what_it_comes_to() -> None:
    matrix = "vars: {t: test}\n" + BASE.replace("run: [make, test]", "run: [make, '${t}']")
    assert found(matrix) == []
    changed = matrix.replace("{t: test}", "{t: none}")
    assert found(changed) == [("locked", "cells.proto.checks.unit")]


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    text = BASE.replace("read by Go", "read\\nby “C”").replace("  web:", "  site:\n    was: web")
    lock = amend(lock_of(), text.replace("Keys outlive quantum.", "'a = \"b\" # c'"))
    path = tmp_path / "keys.lock.toml"
    path.write_bytes(encode_spec_lock(lock))
    assert read_spec_lock(path) == lock
    assert find_chain_fault(lock) is None
    assert read_spec_lock(tmp_path / "none.lock.toml") is None


def test_additions_are_locked_by_the_next_amendment_and_count_as_none() -> None:
    more = BASE.replace("cells:\n", "cells:\n  new: {repo: app, todo: [x], checks: none}\n")
    lock = amend(lock_of(), more.replace("title: Keys", "title: K"))
    assert (len(lock.amendment), lock.amendments) == (1, ())
    assert ("locked", "cells.new") in found(BASE, lock)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schema = 1\nfeature = \n", "this is not TOML"),
        ("schema = 99\n", "form 99 of a lock is not known"),
        ("schema = 1\nfeature = 'x'\n", "this is not a lock: field"),
        ("", "form None of a lock"),
        (
            "schema = 1\nfeature='x'\nat=''\nwho=''\nvalues={cells=1}\nfree={}\n"
            "digests={intent='',locked='',free='',chain=''}\n",
            "`values.cells` is no table",
        ),
    ],
)
def test_a_file_that_is_no_lock_is_an_error_at_its_line(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "x.lock.toml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_spec_lock(path, "specs/x.lock.toml")
    assert words in caught.value.message
    assert "specs/x.lock.toml:" in caught.value.message
    assert path.exists()


def twice() -> SpecLock:
    text = BASE.replace("read by Go", "read by C")
    return amend(amend(lock_of(), text), text.replace("[hybrid keys]", "[x]"))


def forge(lock: SpecLock, number: int, **fields: Any) -> SpecLock:
    entries = [*lock.amendment]
    entries[number] = replace(entries[number], **fields)
    return replace(lock, amendment=tuple(entries))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda k: forge(k, 0, reason="another"), "amendment 2 does not follow"),
        (lambda k: forge(k, 1, reason="another"), "amendment 2 is not the one"),
        (lambda k: replace(k, amendment=k.amendment[:1]), "amendment 1 is not the one"),
        (lambda k: replace(k, amendment=()), "the first lock is not the one"),
        (lambda k: replace(k, amendment=k.amendment[1:]), "do not lead back"),
        (lambda k: replace(k, values={**k.values, "done_means": []}), "its values"),
        (lambda k: replace(k, free={}), "its values"),
    ],
)
def test_a_lock_that_was_edited_has_a_fault(change: Any, words: str) -> None:
    assert find_chain_fault(twice()) is None
    assert words in (find_chain_fault(change(twice())) or "no fault")


EDITS = ["", *(BASE.replace(old, new) for old, new, *_ in [*FREE, *LOCKED])]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(EDITS), max_size=5))
def test_any_order_of_amendments_leads_back_to_the_first_lock(texts: list[str]) -> None:
    lock = lock_of()
    for text in texts:
        lock = amend(lock, text or BASE)
        assert find_chain_fault(lock) is None
        assert found(text or BASE, lock) == []
