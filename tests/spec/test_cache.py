"""Compiled specs: exact, harmless when broken, and worth it (no yaml, no pydantic)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr.checks.kinds.api_probe import ApiProbeCheck, ServiceReadiness
from orchestr.checks.kinds.browser_journey import BrowserJourneyCheck
from orchestr.checks.kinds.command import CommandCheck
from orchestr.checks.kinds.import_check import ImportCheck
from orchestr.checks.kinds.junit import JunitCheck
from orchestr.checks.kinds.pytest import PytestCheck
from orchestr.checks.kinds.state_invariant import Probe, StateInvariantCheck
from orchestr.checks.kinds.tests import TestsCheck
from orchestr.checks.kinds.type_check import TypeCheck
from orchestr.errors import Problem
from orchestr.settings.loader import load_settings
from orchestr.spec import cache, reader
from orchestr.spec import checks as proof
from orchestr.spec.phases import Action, Delivery, Phase
from orchestr.spec.reader import read_all_specs, read_feature
from orchestr.spec.records import Cell, Feature

REPO = Path(__file__).parents[2]
SPEC = (
    "apiVersion: orchestr/v1\nkind: Feature\nmetadata: {name: demo}\n"
    "cells:\n  a: {repo: r, depends_on: []}\n"
)

texts = st.text(max_size=20)
maybe = st.none() | texts
lists = st.lists(texts, max_size=3).map(tuple)
seconds = st.none() | st.floats(min_value=0.001, max_value=1e7)
pairs = st.lists(st.tuples(texts, texts), max_size=2).map(tuple)
frame = {
    "name": texts, "timeout": st.floats(0.001, 1e7), "cwd": texts, "env": pairs, "pass_env": lists,
}  # fmt: skip
checks: st.SearchStrategy[proof.CheckDef] = st.one_of(
    st.builds(
        CommandCheck, run=lists, exit=st.integers(0, 255), output=maybe, **frame
    ),
    st.builds(PytestCheck, selector=maybe, args=lists, **frame),
    st.builds(JunitCheck, run=lists, reports=lists, **frame),
    st.builds(TestsCheck, run=lists, **frame),
    st.builds(
        ApiProbeCheck, start=lists, path=maybe, url=maybe, headers=pairs, body=maybe,
        status=st.integers(100, 599), json=maybe, method=texts,
        ready=st.builds(ServiceReadiness, maybe, st.floats(0.001, 1e7)), **frame,
    ),
    st.builds(BrowserJourneyCheck, run=lists, evidence=lists, **frame),
    st.builds(
        StateInvariantCheck, expression=texts,
        probes=st.lists(st.builds(Probe, texts, lists, maybe, maybe), max_size=2).map(tuple),
        **frame,
    ),
    st.builds(ImportCheck, module=texts, version=maybe, **frame),
    st.builds(TypeCheck, tool=texts, paths=lists, **frame),
)  # fmt: skip
many = st.lists(checks, max_size=2).map(tuple)
proofs = st.builds(
    proof.ProofRequirements, many, many,
    st.lists(st.builds(proof.Reviewer, texts, texts, maybe, seconds), max_size=2).map(tuple),
    st.sampled_from(proof.ReviewRule),
    st.builds(proof.RepairRounds, st.integers(0, 100), st.integers(0, 100)),
    st.lists(st.sampled_from(proof.Gate), max_size=2).map(tuple),
    lists, st.booleans(), st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip
cells = st.builds(
    Cell,
    texts,
    texts,
    texts,
    todo=lists,
    depends_on=lists,
    action=st.sampled_from(Action),
    title=maybe,
    base=maybe,
    track_base=st.booleans(),
    agent=maybe,
    model=maybe,
    timeout=seconds,
    idle_timeout=seconds,
    owned_paths=lists,
    phases=st.lists(st.sampled_from(Phase), max_size=5).map(tuple),
    proof=st.just(proof.NOTHING) | proofs,
)
features = st.builds(
    Feature,
    texts,
    texts,
    texts,
    st.lists(cells, max_size=4).map(tuple),
    jira=maybe,
    created=maybe,
    scenarios=lists,
    delivery=st.sampled_from(Delivery),
    cross_checks=st.lists(st.builds(proof.CrossCheck, texts, checks), max_size=2).map(tuple),
    contracts=st.lists(st.builds(proof.Contract, texts, texts), max_size=2).map(tuple),
    path=texts,
    digest=texts,
)
numbers = st.integers(0, 10**6)
warnings = st.lists(
    st.builds(Problem, texts, numbers, numbers, texts, texts, maybe, texts), max_size=3
).map(tuple)


@given(features, warnings)
def test_records_come_back_exactly(feature: Feature, notes: tuple[Problem, ...]) -> None:
    import json

    value = json.loads(json.dumps(cache.encode_compiled((feature, notes))))
    back = cache.decode_compiled(value)

    assert back == (feature, notes)
    assert repr(back) == repr((feature, notes))  # enums and floats too, not only what is equal


@given(checks)
def test_a_check_comes_back_exactly_from_its_row(check: proof.CheckDef) -> None:
    import json

    assert repr(proof.check_from_row(json.loads(json.dumps(proof.check_to_row(check))))) == repr(
        check
    )


@given(features)
def test_every_field_of_a_record_is_kept(feature: Feature) -> None:
    kept = cache.encode_compiled((feature, ()))

    assert set(kept["feature"]) | {"cells"} == set(Feature.__slots__)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "demo.yaml"
    path.write_text(SPEC)
    return path


def read(spec: Path, agents: tuple[str, ...] = ()) -> tuple[Feature, tuple[Problem, ...]]:
    return read_feature(spec, root=spec.parent, agents=agents, cache=spec.parent / "cache")


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The specs that were really parsed from here on."""
    parsed: list[str] = []
    compile_spec = reader.compile_spec

    def count(data: bytes, name: str, *more: Any) -> Any:
        parsed.append(name)
        return compile_spec(data, name, *more)

    monkeypatch.setattr(reader, "compile_spec", count)
    return parsed


def test_a_second_reading_gives_the_same_with_its_warnings(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read(spec)
    parsed = counted(monkeypatch)

    assert read(spec) == first
    assert [note.message for note in first[1]] == [
        "nothing in `todo`: the agent gets only the titles"
    ]
    assert parsed == []


def test_what_the_result_depends_on_is_read_again(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(spec)
    parsed = counted(monkeypatch)

    read(spec, ("other",))
    spec.write_text(SPEC + "# changed\n")
    read(spec, ("other",))
    monkeypatch.setattr(cache, "__version__", "99")
    read(spec, ("other",))

    assert len(parsed) == 3


@pytest.mark.parametrize("how", ["empty", "cut", "flipped", "rubbish", "folder"])
def test_a_broken_cache_is_as_good_as_none(spec: Path, how: str) -> None:
    first = read(spec)
    (kept,) = (spec.parent / "cache").iterdir()
    data = kept.read_bytes()
    match how:
        case "empty":
            kept.write_bytes(b"")
        case "cut":
            kept.write_bytes(data[:-5])
        case "flipped":
            kept.write_bytes(data.replace(b"demo-a", b"demo-b"))
        case "rubbish":
            kept.write_bytes(b"\xff\0" * 100)
        case "folder":
            kept.unlink()
            kept.mkdir()

    assert read(spec) == first


def test_a_cache_that_cannot_be_written_stops_nothing(spec: Path) -> None:
    (spec.parent / "cache").write_text("a file where the folder should be")

    assert read(spec)[0].name == "demo"
    assert (spec.parent / "cache").read_text() == "a file where the folder should be"


def test_errors_are_never_kept(spec: Path) -> None:
    spec.write_text("kind: Feature\n")

    with pytest.raises(Exception, match="is required"):
        read(spec)

    assert not (spec.parent / "cache").exists()


def test_a_warm_start_imports_neither_yaml_nor_pydantic(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "demo.yaml").write_text(SPEC)
    (tmp_path / "orchestr.toml").write_text('[agents.x]\nkind = "command"\nrun = ["true"]\n')
    cold = read_all_specs(load_settings(tmp_path, {}))
    script = (
        "import sys; from pathlib import Path\n"
        "from orchestr.settings.loader import load_settings\n"
        "from orchestr.spec.reader import read_all_specs\n"
        "found = read_all_specs(load_settings(Path(sys.argv[1]), {}))\n"
        "print(list(found.features), len(found.warnings))\n"
        "print(sorted({'yaml', 'pydantic', 'tomli_w', 'rich'} & sys.modules.keys()))\n"
    )

    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert list(cold.features) == ["demo"]
    assert run.stdout == "['demo'] 1\n[]\n"


def test_the_declarations_of_kinds_load_nothing_that_only_runs_them() -> None:
    script = (
        "import sys; from orchestr.spec.check_kinds import find_kind, list_own_kinds\n"
        "for kind in list_own_kinds(): find_kind(kind)\n"
        "print(sorted(m for m in sys.modules if m.startswith(('orchestr.process', 'xml', "
        "'subprocess', 'orchestr.checks.room', 'orchestr.checks.http', 'pydantic'))))\n"
    )

    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout == "[]\n"
