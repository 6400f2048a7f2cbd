"""What `validate`, `schema` and `init` are made of."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from orchestr.errors import OrchestrError, UsageError
from orchestr.settings.loader import load_settings
from orchestr.settings.new_workspace import (
    CheckEntry,
    RepoEntry,
    Surroundings,
    WorkspaceFiles,
    write_workspace,
)
from orchestr.settings.records import Settings
from orchestr.spec.field_types import BadValue
from orchestr.spec.validate import json_schema, validate_specs

GOOD = (
    "apiVersion: orchestr/v1\nkind: Feature\nmetadata: {name: good}\n"
    "cells:\n  a: {repo: r, todo: [x]}\n"
)
ALL_FILES = (
    "orchestr.toml",
    "specs/example.yaml",
    "specs/orchestr.schema.json",
    "tools/demo-agent.sh",
    "dodo.py",
    ".gitignore",
)


def workspace(root: Path, agents: str = "") -> Settings:
    (root / "specs").mkdir()
    (root / "specs" / "first.yaml").write_text(GOOD)
    (root / "specs" / "bad.yaml").write_text(GOOD.replace("todo", "tod").replace("good", "bad"))
    (root / "orchestr.toml").write_text(agents or "[agents.x]\nkind='command'\nrun=['true']\n")
    return load_settings(root, {})


def test_all_specs_are_checked_when_none_is_named(tmp_path: Path) -> None:
    report = validate_specs(workspace(tmp_path))

    assert not report.is_good
    assert [f.name for f in report.features] == ["good"]
    assert [str(p) for p in report.problems] == [
        "specs/bad.yaml:5:16: error: cells.a.tod: unknown field\n  hint: did you mean `todo`?"
    ]


@pytest.mark.parametrize(
    "name", ["good", "feature:good", "first", "first.yaml", "specs/first.yaml"]
)
def test_a_spec_is_named_by_feature_or_by_file(tmp_path: Path, name: str) -> None:
    report = validate_specs(workspace(tmp_path), [name, name])

    assert (report.is_good, [f.name for f in report.features]) == (True, ["good"])


def test_a_broken_spec_is_named_by_its_file(tmp_path: Path) -> None:
    report = validate_specs(workspace(tmp_path), ["bad"])

    assert (report.features, [p.field for p in report.problems]) == ((), ["cells.a.tod"])


def test_a_file_outside_the_specs_folder_can_be_checked(tmp_path: Path) -> None:
    settings = workspace(tmp_path)
    (tmp_path / "draft").mkdir()
    (tmp_path / "draft" / "x.yaml").write_text(GOOD.replace("good", "draft"))

    report = validate_specs(settings, ["x.yaml", "nowhere.yaml"], cwd=tmp_path / "draft")

    assert [f.name for f in report.features] == ["draft"]
    assert [str(p).splitlines()[0] for p in report.problems] == [
        "draft/nowhere.yaml: error: not found"
    ]


def test_an_unknown_name_gets_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        validate_specs(workspace(tmp_path), ["goood"])

    assert (caught.value.message, caught.value.hint) == (
        "there is no feature `goood`",
        "did you mean `good`?",
    )


def test_cells_without_an_agent_or_a_check_are_warned_about(tmp_path: Path) -> None:
    report = validate_specs(workspace(tmp_path, "[limits]\njobs = 1\n"), ["good"])

    assert report.is_good
    assert [str(w) for w in report.warnings] == [
        "specs/first.yaml: warning: no agent is named for a, and the settings have no default\n"
        '  hint: write `agent:` there, or [agents] default = "..." in orchestr.toml',
        "specs/first.yaml:5:3: warning: no check for a: nothing shows that the work is right\n"
        "  hint: add `checks:` (`orchestr plan` proposes some), or state it with `checks: none`",
    ]


def test_the_schema_names_both_forms_and_every_field() -> None:
    schema = json_schema()
    cell = schema["$defs"]["NativeCell"]

    assert schema["oneOf"] == [
        {"$ref": "#/$defs/NativeFeature"},
        {"$ref": "#/$defs/OpentdfFeature"},
    ]
    assert cell.keys() & {"required"} == set()  # a base may have it
    assert cell["additionalProperties"] is False
    assert sorted(cell["properties"]) == [
        "action", "adopt", "agent", "agents", "allow_partial", "allow_skipped_tests", "approve",
        "base", "best_of", "branch", "checks", "depends_on", "for", "idle_timeout", "max_wait",
        "model", "options", "owned_paths", "phases", "ports", "pull_request", "repair", "repo",
        "retry", "review_rule", "reviewers", "screenshots", "shared_paths", "test_first", "timeout",
        "title", "todo", "track_base", "was",
    ]  # fmt: skip
    names = schema["$defs"]["OpentdfFeature"]["properties"]["repos"]["propertyNames"]
    found = [
        bool(re.match(names["pattern"], n)) for n in ("a-1", "a-${l.b}", "${l}", "A", "a_b", "")
    ]
    assert (found, names["maxLength"]) == ([True, True, True, False, False, False], 100)
    native = schema["$defs"]["NativeFeature"]
    assert native["if"] == {"required": ["extends"]}
    whole, added = native["else"]["else"], native["else"]["then"]
    assert whole["properties"]["cells"]["additionalProperties"] == {"required": ["repo"]}
    assert sorted({*whole["required"]} - {*added["required"]}) == ["cells"]
    assert "null" not in str(schema)


def test_a_new_workspace_is_valid_and_making_it_twice_changes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "new"
    found = Surroundings((RepoEntry("platform", "../platform"), RepoEntry("sdk.x", "../sdk.x")))

    first = write_workspace(root, found)
    files = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    second = write_workspace(root)

    assert (first, second) == (WorkspaceFiles(ALL_FILES, ()), WorkspaceFiles((), ALL_FILES))
    assert {path: path.read_bytes() for path in files} == files
    settings = load_settings(root, {})
    report = validate_specs(settings)
    assert (report.is_good, report.warnings) == (True, ())
    assert [(c.name, c.repo) for c in report.features[0].cells] == [
        ("platform", "platform"), ("sdk-x", "sdk.x"),
    ]  # fmt: skip
    assert settings.repo_settings("sdk.x").path == tmp_path / "sdk.x"
    assert (root / "dodo.py").read_text().endswith("from orchestr.dodo import *  # noqa: F403\n")


def test_the_schema_line_of_the_example_leads_to_the_schema(tmp_path: Path) -> None:
    write_workspace(tmp_path)
    first = (tmp_path / "specs" / "example.yaml").read_text().splitlines()[0]
    start, _, name = first.partition("$schema=")
    assert start == "# yaml-language-server: "
    assert json.loads((tmp_path / "specs" / name).read_text()) == json_schema()


def test_what_a_person_wrote_stays(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "mine.yaml").write_text(GOOD)
    (tmp_path / "orchestr.toml").write_text("# mine\n")
    (tmp_path / ".gitignore").write_bytes(b"build/\n.orchestr/")
    (tmp_path / "dodo.py").symlink_to("nowhere.py")

    done = write_workspace(tmp_path, Surroundings((RepoEntry("a", "../a"),)))

    made = ("specs/orchestr.schema.json", ".gitignore")
    assert done == WorkspaceFiles(made, ("orchestr.toml", "dodo.py"))
    assert (tmp_path / "orchestr.toml").read_text() == "# mine\n"
    assert (tmp_path / ".gitignore").read_text() == "build/\n.orchestr/\n.doit.db*\n"
    assert not (tmp_path / "nowhere.py").exists()
    assert not (tmp_path / "tools").exists()
    assert not (tmp_path / "specs" / "example.yaml").exists()


def test_settings_say_what_was_found(tmp_path: Path) -> None:
    checks = (
        CheckEntry('{kind = "pytest"}', "there is a tests/test_\n[x].py"),
        CheckEntry('{kind = "command", run = ["npm", "test"]}', "package.json", "npm is not there"),
    )
    local = RepoEntry("b", "../b", checks)
    away = RepoEntry("a", "../a", unpublished="it would push to https://h.example/a.git")
    write_workspace(tmp_path, Surroundings((away, local), ("claude", "codex"), "github"))

    settings = load_settings(tmp_path, {})
    assert [check.kind for check in settings.repo_settings("b").checks] == ["pytest"]
    assert 'run = ["npm", "test"]}]  # package.json, but npm is not there' in (
        (tmp_path / "orchestr.toml").read_text()
    )
    assert (settings.default_agent, list(settings.agents)) == (
        "claude",
        ["claude", "codex", "demo"],
    )
    assert settings.forge.kind == "github"
    (feature,) = validate_specs(settings).features
    assert [(c.repo, str(c.phases[-1])) for c in feature.cells] == [
        ("b", "publish"),
        ("a", "review"),
    ]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OrchestrError, match=r"file is a file, not a folder"):
        write_workspace(tmp_path / "file")
    with pytest.raises(BadValue):
        write_workspace(tmp_path / "x", Surroundings((RepoEntry("../x", "y"),)))


def test_the_reference_names_every_field_and_key() -> None:
    """docs/spec.md is complete: what the reader knows is in it."""
    from orchestr.settings.sections import KEYS
    from orchestr.spec.models import Metadata, NativeCell, NativeFeature

    text = (Path(__file__).parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")
    models = (NativeCell, NativeFeature, Metadata)
    fields = {info.alias or name for m in models for name, info in m.model_fields.items()}
    keys = {key for section in KEYS.values() for key in section}

    assert [word for word in sorted(fields | keys) if word not in text] == []


def test_the_references_example_is_valid(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")
    settings = workspace(tmp_path)
    (tmp_path / "specs" / "first.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])

    assert [f.name for f in validate_specs(settings, ["mlkem"]).features] == ["mlkem"]
