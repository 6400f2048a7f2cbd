"""Records of the version before are written again with the same fields, and the same bytes where
nothing is added; a field of a later version stays where a record is changed in its place."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.compat.adapters import READERS, WRITERS
from tests.compat.test_records import EXAMPLES, RECORDS, differences

LOAD: dict[str, Any] = {".toml": tomllib.loads, ".json": json.loads}
NOT_READ = {"forge": ("checks", "review", "merged_as")}  # a pull request's, of one answer only
KEPT = {
    "attempts": ("history", "attempts/1/attempt.toml"),
    "rounds": ("series", "attempts/1/rounds/1.toml"),
    "amendment": ("full", "amendment.toml"),
    "forge": ("several", "1.toml"),
}
PASSED_OVER = {
    "worktree": ("full", "worktree.toml"),
    "implement": ("full", "implement.toml"),
    "head": ("changed", "head.toml"),
    "publish": ("full", "publish.toml"),
    "plan": ("full", "plan.toml"),
    "evidence": ("full", "checks.json"),
    "approvals": ("both", "approvals/plan.toml"),
    "lease": ("another-host", "feature-demo.lock"),
}


def table(path: Path) -> Any:
    return LOAD[path.suffix](path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "example",
    [path for path in EXAMPLES if path.parent.name in WRITERS],
    ids=lambda p: f"{p.parent.name}/{p.name}",
)
def test_it_is_written_with_the_same_fields(example: Path, tmp_path: Path) -> None:
    WRITERS[example.parent.name](example, tmp_path)
    unread = NOT_READ.get(example.parent.name, ())
    written = [p for p in tmp_path.rglob("*") if p.suffix in LOAD and p.is_file()]
    assert written or example.name == "empty"
    for path in written:
        old = example / path.relative_to(tmp_path)
        told = {k: v for k, v in table(old).items() if k not in unread}
        assert differences(told, table(path)) == []
        if table(old) == table(path):
            assert path.read_bytes() == old.read_bytes()


def with_later_fields(kind: str, name: str, file: str, to: Path) -> Path:
    """A copy of an example whose ``file`` has two fields of a later version."""
    copy = shutil.copytree(RECORDS / kind / name, to / "it")
    text = (copy / file).read_text(encoding="utf-8")
    if file.endswith(".toml"):
        text = f"later = 'x'\n{text}\n[later_table]\na = 1\n"
    else:
        text = json.dumps({**json.loads(text), "later": "x", "later_table": {"a": 1}})
    (copy / file).write_text(text, encoding="utf-8")
    return copy


@pytest.mark.parametrize("kind", KEPT)
def test_a_field_of_a_later_version_is_kept(kind: str, tmp_path: Path) -> None:
    name, file = KEPT[kind]
    copy = with_later_fields(kind, name, file, tmp_path)
    WRITERS[kind](copy, copy)
    assert (table(copy / file)["later"], table(copy / file)["later_table"]) == ("x", {"a": 1})
    assert differences(table(RECORDS / kind / name / file), table(copy / file)) == []


@pytest.mark.parametrize("kind", PASSED_OVER)
def test_a_field_of_a_later_version_is_passed_over(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, file = PASSED_OVER[kind]
    copy = with_later_fields(kind, name, file, tmp_path)
    assert READERS[kind](copy) == READERS[kind](RECORDS / kind / name)
    assert capsys.readouterr().err == ""
    assert (copy / file).exists()


def test_the_registry_keeps_a_field_of_a_later_version(tmp_path: Path) -> None:
    file = shutil.copytree(RECORDS / "registry" / "full", tmp_path / "it") / "registry.json"
    value = json.loads(file.read_text())
    for row in value["entries"].values():
        row["later"] = ["x"]
    file.write_text(json.dumps(value))
    (tmp_path / "out").mkdir()
    WRITERS["registry"](file.parent, tmp_path / "out")
    rows = table(tmp_path / "out" / "registry.json")["entries"]
    assert rows == value["entries"]
