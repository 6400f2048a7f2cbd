"""Good specs, as they come out of the reader, and a folder of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from textwrap import dedent

import pytest

from orchestr.errors import SpecError
from orchestr.settings.loader import load_settings
from orchestr.settings.records import Settings
from orchestr.spec.cache import decode_compiled, encode_compiled
from orchestr.spec.phases import Action, Phase
from orchestr.spec.pull_request import PullRequestOptions
from orchestr.spec.reader import compile_spec, read_all_specs, read_feature
from orchestr.spec.records import Cell, Feature

SETTINGS = '[agents.scripted]\nkind = "command"\nrun = ["true"]\n'


def read(text: str, **more: object) -> tuple[Feature, list[str]]:
    feature, warnings = compile_spec(
        dedent(text).encode(), "specs/demo.yaml", "d", ("scripted", "other")
    )
    return feature, [str(warning) for warning in warnings]


def workspace(root: Path, **specs: str) -> Settings:
    (root / "specs").mkdir()
    (root / "orchestr.toml").write_text(SETTINGS)
    for name, text in specs.items():
        (root / "specs" / f"{name}.yaml").write_text(dedent(text))
    return load_settings(root, {})


def small(name: str, cell: str = "a", **fields: str) -> str:
    more = "".join(f", {key}: {value}" for key, value in fields.items())
    return (
        f"apiVersion: orchestr/v1\nkind: Feature\nmetadata: {{name: {name}}}\n"
        f"cells:\n  {cell}: {{repo: r, todo: [x]{more}}}\n"
    )


def test_the_real_spec_of_opentdf_is_read_as_it_is() -> None:
    folder = Path(__file__).parent

    feature, warnings = read_feature(folder / "mechanism-mlkem.yaml", root=folder)

    assert warnings == ()
    assert (feature.name, feature.key, feature.jira) == (
        "mechanism-mlkem",
        "DSPX-2399",
        "DSPX-2399",
    )
    assert feature.created == "2026-05-18"
    assert feature.scenarios == ("xtest/scenarios/mechanism-mlkem.yaml",)
    assert [(c.name, c.repo, c.action, c.depends_on, len(c.todo)) for c in feature.cells] == [
        ("tests", "tests", Action.PUSH, (), 7),
        ("platform-proto", "platform", Action.AGENT, (), 2),
        ("platform-service", "platform", Action.AGENT, ("platform-proto",), 4),
        ("platform-go-sdk", "platform", Action.AGENT, ("platform-proto", "platform-service"), 2),
        ("java-sdk", "java-sdk", Action.AGENT, ("platform-proto",), 3),
        ("web-sdk", "web-sdk", Action.AGENT, ("platform-proto",), 4),
    ]
    assert all(c.branch == f"DSPX-2399-{c.name}" for c in feature.cells)
    assert feature.cells[0].todo[6].startswith('Wire format — KAO type "wrapped"; wrappedKey = ')


def test_a_cell_wins_over_the_defaults_and_a_push_takes_none_of_an_agents() -> None:
    feature, warnings = read(
        """
        apiVersion: orchestr/v1
        kind: Feature
        metadata: {name: mlkem, jira: DSPX-1, title: Some title, created: 2026-05-18}
        defaults: {agent: scripted, model: sonnet, timeout: 30m, idle_timeout: 90,
                   base: develop, track_base: true, phases: [implement, publish]}
        cells:
          a: {repo: platform, todo: [x]}
          b:
            repo: sdk
            branch: feature/b
            title: The SDK
            depends_on: [a]
            todo: [y, z]
            agent: other
            model: opus
            timeout: 1h30m
            base: main
            track_base: false
            owned_paths: [src/**, "*.md"]
            phases: [worktree, implement, check, review, publish]
          t: {repo: tests, action: push}
        """
    )

    both = (Phase.IMPLEMENT, Phase.PUBLISH)
    assert warnings == []
    assert feature == Feature(
        name="mlkem",
        key="DSPX-1",
        jira="DSPX-1",
        title="Some title",
        created="2026-05-18",
        path="specs/demo.yaml",
        digest="d",
        cells=(
            Cell(
                "a",
                "platform",
                "DSPX-1-a",
                todo=("x",),
                base="develop",
                track_base=True,
                agent="scripted",
                model="sonnet",
                timeout=1800.0,
                idle_timeout=90.0,
                phases=both,
            ),
            Cell(
                "b",
                "sdk",
                "feature/b",
                title="The SDK",
                depends_on=("a",),
                todo=("y", "z"),
                agent="other",
                model="opus",
                timeout=5400.0,
                idle_timeout=90.0,
                base="main",
                owned_paths=("src/**", "*.md"),
            ),
            Cell(
                "t",
                "tests",
                "DSPX-1-t",
                action=Action.PUSH,
                base="develop",
                track_base=True,
                phases=both,
            ),
        ),
    )


def test_what_is_not_said_has_the_defaults_of_row_a73() -> None:
    feature, _ = read(small("my_feature-2"))

    assert feature.title == "my_feature-2"
    assert feature.cells == (Cell("a", "r", "my_feature-2-a", todo=("x",)),)


def test_todo_items_are_the_text_that_was_written() -> None:
    feature, _ = read(
        small("demo").replace("[x]", "[1, 1.10, yes, 2026-05-18, 0x10, 1:30, 'a: b', \"q\\ns\"]")
    )

    assert feature.cells[0].todo == (
        "1", "1.10", "yes", "2026-05-18", "0x10", "1:30", "a: b", "q\ns",
    )  # fmt: skip


def test_a_byte_order_mark_and_windows_line_ends_are_no_problem() -> None:
    text = "\ufeff" + small("demo").replace("\n", "\r\n")

    feature, _ = compile_spec(text.encode(), "specs/demo.yaml", "", None)

    assert feature.name == "demo"


def test_what_is_odd_but_not_wrong_is_a_warning() -> None:
    _, warnings = read(
        """
        apiVersion: orchestr/v1
        kind: Feature
        metadata: {name: demo}
        cells:
          a:
            repo: r
            todo:
              - Fix issue #12 now
              - fine # a comment
              - 'quoted' # another
          b: {repo: r, depends_on: [a, a]}
          c: {repo: r, todo: [x], branch: DEMO-b}
        """
    )

    assert warnings == [
        "specs/demo.yaml:9:9: warning: cells.a.todo[0]: `#12 now` is a comment, not part of the"
        " text\n  hint: quote the whole text if it belongs there",
        "specs/demo.yaml:12:3: warning: cells.b: nothing in `todo`: the agent gets only the titles",
        "specs/demo.yaml:12:32: warning: cells.b.depends_on[1]: `a` is named twice\n"
        "  hint: remove one",
        "specs/demo.yaml:13:35: warning: cells.c.branch: branch `DEMO-b` differs from cell b's"
        " only in its case\n  hint: some disks keep only one",
    ]


def test_one_bad_spec_does_not_stop_another_feature(tmp_path: Path) -> None:
    settings = workspace(tmp_path, good=small("good"), bad="kind: Feature\n", zoo=small("good"))
    (tmp_path / "specs" / ".hidden.yaml").write_text("{")
    (tmp_path / "specs" / "notes.txt").write_text("{")
    (tmp_path / "specs" / "more.yml").write_text(small("more"))

    found = read_all_specs(settings)

    assert list(found.features) == ["good", "more"]
    assert [str(problem).splitlines()[0] for problem in found.problems] == [
        "specs/bad.yaml:1:1: error: metadata: is required and not there",
        "specs/bad.yaml:1:1: error: apiVersion: is required and not there",
        "specs/bad.yaml:1:1: error: cells: is required and not there",
        "specs/zoo.yaml: error: metadata.name: feature `good` is already in specs/good.yaml",
    ]


def test_two_features_on_one_branch_are_warned_about(tmp_path: Path) -> None:
    one, two = small("one", branch="shared"), small("two", branch="shared")

    found = read_all_specs(workspace(tmp_path, one=one, two=two))

    assert list(found.features) == ["one", "two"]
    assert [str(w) for w in found.warnings] == [
        "specs/two.yaml: warning: a.branch: branch `shared` is also that of one:a\n"
        "  hint: only one of the two can run; write `branch:` in one of them"
    ]


def test_a_workspace_without_specs_has_no_features(tmp_path: Path) -> None:
    settings = workspace(tmp_path)
    (tmp_path / "specs").rmdir()

    assert read_all_specs(settings).features == {}


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "loop"])
def test_what_is_no_file_is_said_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.yaml"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path)

    with pytest.raises(SpecError) as caught:
        read_feature(path, root=tmp_path)

    said = {"missing": "not found", "loop": "not found"}.get(kind, "is not a file")
    assert str(caught.value) == (
        f"x.yaml: error: {said}\n  hint: `orchestr list` shows the features"
    )


def test_ten_thousand_cells_in_a_row_need_no_recursion() -> None:
    cells = "".join(
        f"  c{i}: {{repo: r, todo: [x], depends_on: [c{(i + 1) % 10_000}]}}\n"
        for i in range(10_000)
    )
    head = "apiVersion: orchestr/v1\nkind: Feature\nmetadata: {name: demo}\ncells:\n"

    with pytest.raises(SpecError) as caught:
        compile_spec((head + cells).encode(), "specs/demo.yaml", "", None)

    (problem,) = caught.value.problems
    assert problem.message.startswith("cells wait for each other: c0 -> c1 -> ")
    assert "9982 more" in problem.message


def test_options_of_pull_requests_are_joined_cell_over_defaults() -> None:
    feature, _ = read(
        """
        apiVersion: orchestr/v1
        kind: Feature
        metadata: {name: demo, type: fix!}
        siblings_in_ci: true
        defaults: {pull_request: {labels: [a, b], milestone: v1, ready: true}}
        cells:
          one: {repo: r, todo: [x], pull_request: {labels: [b, c], milestone: v2, ready: false}}
          two: {repo: s, todo: [x]}
        """
    )
    assert (feature.type, feature.siblings_in_ci) == ("fix!", True)
    assert [cell.pull_request for cell in feature.cells] == [
        PullRequestOptions(("a", "b", "c"), milestone="v2", ready=False),
        PullRequestOptions(("a", "b"), milestone="v1", ready=True),
    ]
    assert decode_compiled(json.loads(json.dumps(encode_compiled((feature, ()))))) == (feature, ())


def test_a_type_that_is_none_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        read(small("demo").replace("{name: demo}", "{name: demo, type: Feature}"))
    assert "`Feature` is no type of a conventional commit" in str(caught.value)
