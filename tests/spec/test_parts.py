"""`include:` and `extends:`: what is merged, what is refused, and what notices a change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestr.cell.worktree.workspace_guard import list_guarded_files
from orchestr.errors import Problem, SpecError
from orchestr.plan.overlap_warnings import overlap_problems
from orchestr.settings.loader import load_settings
from orchestr.spec.locate import locate_cell_fields
from orchestr.spec.reader import read_all_specs, read_feature
from orchestr.spec.records import Feature
from orchestr.spec.validate import expand_specs, validate_specs

HEAD = "apiVersion: orchestr/v1\nkind: Feature\nmetadata: {name: f}\n"
CELL = "  own: {repo: r, todo: [x]}\n"


def write(root: Path, **files: str) -> Path:
    """Files below `specs/`; `__` in a name is a folder."""
    for name, text in files.items():
        path = root / "specs" / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def read(root: Path, **more: Any) -> Feature:
    return read_feature(root / "specs" / "f.yaml", root=root, **more)[0]


def problems(root: Path) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        read(root)
    return [p for p in caught.value.problems if p.severity == "error"]


def test_cells_defaults_and_variables_are_taken_in(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        f=HEAD + "include: [parts/a.yaml, parts/b.yaml]\nvars: {who: me}\n"
        "defaults: {repair: {checks: 1}}\ncells:\n" + CELL,
        parts__a="vars: {who: a, what: one}\n"
        "defaults: {model: m1, repair: {checks: 9, reviews: 2}}\n"
        "cells:\n  a: {repo: r, todo: ['${who} ${what}']}\n",
        parts__b="include: ../parts/c.yaml\nvars: {what: two}\ndefaults: {model: m2}\n",
        parts__c="cells:\n  c: {repo: r, todo: [x], depends_on: [a]}\n",
    )

    feature = read(root)

    assert [c.name for c in feature.cells] == ["a", "c", "own"]
    assert feature.cell("a").todo == ("me two",)
    assert (feature.cell("own").model, feature.cell("own").proof.repair.checks) == ("m2", 1)
    assert feature.cell("c").proof.repair.reviews == 2
    assert [name for name, _ in feature.parts] == [
        "specs/parts/a.yaml", "specs/parts/b.yaml", "specs/parts/c.yaml",
    ]  # fmt: skip


def test_a_base_is_changed_field_by_field(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        f="extends: parts/base.yaml\nmetadata: {name: f}\nvars: {lang: web}\n"
        "cells:\n  sdk: {todo: [mine]}\n  more: {repo: '${lang}', todo: [x]}\n",
        parts__base="apiVersion: orchestr/v1\nkind: Feature\nmetadata: {name: base, title: T}\n"
        "vars: {lang: java}\ncells:\n  sdk: {repo: '${lang}-sdk', todo: [a, b]}\n",
    )

    feature = read(root)

    assert (feature.name, feature.title) == ("f", "T")
    assert [(c.name, c.repo, c.todo) for c in feature.cells] == [
        ("sdk", "web-sdk", ("mine",)), ("more", "web", ("x",)),
    ]  # fmt: skip


def test_an_error_is_at_its_line_in_its_file(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        f=HEAD + "include: parts/a.yaml\ncells:\n" + CELL,
        parts__a="# parts\ncells:\n  own: {repo: r}\n  a:\n    tod: [x]\n"
        "    repo: r\n    base: ''\n"
        "other: 1\n",
    )

    found = {str(p).splitlines()[0] for p in problems(root)}

    assert found == {
        "specs/f.yaml:6:3: error: cells.own: cell `own` is in specs/parts/a.yaml:3 already",
        "specs/parts/a.yaml:5:5: error: cells.a.tod: unknown field (read for specs/f.yaml)",
        "specs/parts/a.yaml:7:5: error: cells.a.base: `` cannot be a base: it is empty "
        "(read for specs/f.yaml)",
        "specs/parts/a.yaml:8:1: error: other: unknown field of an included file "
        "(read for specs/f.yaml)",
    }


def test_a_part_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    root = write(tmp_path, f=HEAD + "include: a/p.yaml\ncells:\n" + CELL, a__p="cells: [\n")

    (found,) = problems(root)

    assert (found.file, found.line, found.spec_file) == ("specs/a/p.yaml", 2, "specs/f.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("../../out.yaml", "`../../out.yaml` leaves the workspace"),
        ("/etc/hosts.yaml", "`/etc/hosts.yaml` is not a relative path"),
        ("link.yaml", "`link.yaml` leaves the workspace"),
        ("../.orchestr/x.yaml", "`../.orchestr/x.yaml` lies in a hidden folder"),
        ("notes.txt", "`notes.txt` is not a YAML file"),
        ("no.yaml", "`no.yaml` is not there"),
        ("f.yaml", "`f.yaml` takes in itself: specs/f.yaml -> specs/f.yaml"),
        ("parts/loop.yaml", "`../f.yaml` takes in itself: "
         "specs/f.yaml -> specs/parts/loop.yaml -> specs/f.yaml"),
        ("parts/deep0.yaml", "`deep8.yaml` a spec takes in at most 8 files deep"),
        ("''", "is empty"),
        ("{a: b}", "must be the path of a file"),
    ],
)  # fmt: skip
def test_what_is_taken_in_lies_in_the_workspace(tmp_path: Path, text: str, message: str) -> None:
    root = write(
        tmp_path / "ws",
        f=HEAD + f"include: {text}\ncells:\n" + CELL,
        parts__loop="include: ../f.yaml\n",
        **{f"parts__deep{n}": f"include: deep{n + 1}.yaml\n" for n in range(12)},
    )
    (tmp_path / "out.yaml").write_text("cells: {}\n")
    (root / "specs" / "link.yaml").symlink_to(tmp_path / "out.yaml")

    (found,) = problems(root)

    assert found.message == message.replace("deep8", "deep7")


def test_a_changed_part_is_read_again(tmp_path: Path) -> None:
    part = "cells:\n  a: {repo: r, todo: [one]}\n"
    root = write(tmp_path, f=HEAD + "include: parts/a.yaml\ncells:\n" + CELL, parts__a=part)
    cache = tmp_path / "cache"
    first = read(root, cache=cache)

    assert read(root, cache=cache) == first
    write(root, parts__a=part.replace("one", "two"))
    assert read(root, cache=cache).cell("a").todo == ("two",)
    (root / "specs" / "parts" / "a.yaml").unlink()
    with pytest.raises(SpecError):
        read(root, cache=cache)


def test_parts_are_guarded_found_and_shown(tmp_path: Path) -> None:
    """What says what is evidence is watched; a later warning finds its place; one spec is named."""
    root = write(
        tmp_path,
        f=HEAD + "include: parts/a.yaml\ncells:\n  own: {repo: r, todo: [x], owned_paths: [a]}\n",
        parts__a="cells:\n  a-${n}: {for: {n: [x]}, repo: r, todo: [x],\n    owned_paths: [a]}\n",
    )
    (root / "orchestr.toml").write_text('[agents.x]\nkind = "command"\nrun = ["true"]\n')
    settings = load_settings(root, {})

    assert root / "specs" / "parts" / "a.yaml" in list_guarded_files(settings.workspace)
    feature = read(root)
    assert locate_cell_fields(root, feature.path, [["a-x", "owned_paths", 0]]) == [
        ("specs/parts/a.yaml", 3, 19)
    ]
    assert [p.location for p in overlap_problems(feature, root)] == ["specs/f.yaml:6:43"]

    text = expand_specs(settings, [feature])
    (root / "specs" / "f.yaml").write_text(text)
    assert text.startswith("# specs/f.yaml, specs/parts/a.yaml\napiVersion: orchestr/v1\n")
    assert read(root).cells == feature.cells

    (root / "specs" / "parts" / "a.yaml").write_text("cells: {a: {repo: r, todo: 1}}\n")
    (root / "specs" / "f.yaml").write_text(HEAD + "include: parts/a.yaml\n")
    found = validate_specs(settings, ["f"])
    assert [p.file for p in found.problems] == ["specs/parts/a.yaml"]
    assert read_all_specs(settings).features == {}
