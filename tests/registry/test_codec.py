"""Records: an error names the file, the field and what to do; later versions lose nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestr.codec import (
    ExtensibleRecord,
    InvalidRecord,
    Record,
    decode,
    encode,
    read_toml_record,
    replace,
)
from orchestr.errors import OrchestrError
from orchestr.state.registry import Registry


class Item(Record, frozen=True):
    name: str
    count: int = 0


class Box(ExtensibleRecord, frozen=True):
    label: str
    items: tuple[Item, ...] = ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "field 'label' is missing"),
        ({"label": 1}, "field 'label': expected str, got int"),
        ({"label": "a", "items": [{}]}, "field 'items[0].name' is missing"),
        ({"label": "a", "items": [{"name": "b", "count": "2"}]},
         "field 'items[0].count': expected int, got str"),
        ([1], "expected object, got array"),
    ],
)  # fmt: skip
def test_an_error_names_the_field(value: Any, message: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        decode(value, Box)
    assert str(caught.value) == message


def test_unknown_fields_of_an_extensible_record_survive_a_change() -> None:
    box = decode({"schema": 3, "label": "a", "later": [1]}, Box)
    assert box.unknown_fields == {"later": [1]}
    assert encode(replace(box, label="b")) == {
        "label": "b", "items": (), "later": [1],
    }  # fmt: skip


def test_unknown_fields_of_other_records_are_passed_over() -> None:
    assert decode({"name": "a", "later": 1}, Item) == Item("a")


def test_a_file_with_a_wrong_field_is_set_aside_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "item.toml"
    path.write_text("name = 1\n")
    assert read_toml_record(path, Item) is None
    (kept,) = tmp_path.glob("item.toml.corrupt-*")
    assert capsys.readouterr().err == (
        f"warning: {path} cannot be read (field 'name': expected str, got int); "
        f"it was kept as {kept.name}\n"
    )


def test_a_registry_of_a_newer_schema_is_refused_and_left_in_its_place(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry.json", tmp_path / "lock")
    registry.path.write_text(json.dumps({"schema": 2, "entries": {"k": {"later": 1}}}))
    before = registry.path.read_bytes()
    for call in (registry.entries, lambda: registry.rebuild(tmp_path, {})):
        with pytest.raises(OrchestrError, match=r"registry\.json .* newer orchestr") as caught:
            call()
        assert caught.value.hint == "use that version in this workspace"
    assert registry.path.read_bytes() == before
