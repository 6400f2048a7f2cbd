"""The map of the repositories: from real commits, and from the texts of manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.draft.read_repos import choose_repositories, find_start, read_facts
from orchestr.draft.repo_map import (
    RepoFacts,
    TreeFile,
    code_flows,
    find_copies,
    read_owners,
    read_packages,
    render_map,
)
from orchestr.errors import OrchestrError, UsageError
from orchestr.settings.loader import load_settings
from tests.conftest import git
from tests.e2e.workspace import Workspace

STUB = "// generated from proto/a.proto\n" * 8


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        ("package.json", '{"name": "@acme/web"}', ("@acme/web",)),
        ("package.json", "[1]", ()),
        ("package.json", "{", ()),
        ("go.mod", "module acme.dev/api\n\ngo 1.22\n", ("acme.dev/api",)),
        ("pyproject.toml", '[project]\nname = "acme"\n', ("acme",)),
        ("Cargo.toml", '[package]\nname = "acme"\n', ("acme",)),
        ("Cargo.toml", "package = 3\n", ()),
        (
            "pom.xml",
            "<parent><artifactId>top</artifactId></parent><artifactId>sdk</artifactId>",
            ("sdk",),
        ),
        ("a/b.proto", 'syntax = "proto3";\npackage acme.v1;\n', ("acme.v1",)),
        ("README.md", "package x;", ()),
    ],
)
def test_packages_are_read_from_manifests(path: str, text: str, names: tuple[str, ...]) -> None:
    assert read_packages(path, text) == names


def test_owners_without_comments() -> None:
    assert read_owners("# who\n*  @all\n/api @team # them\n") == ("* @all", "/api @team")


def test_licences_and_small_files_are_no_copies() -> None:
    own = [TreeFile("LICENSE", "a", 999), TreeFile("x.go", "b", 5), TreeFile("y.go", "c", 999)]
    others = [TreeFile(f"o{n}", blob, size) for n, (blob, size) in
              enumerate((("a", 999), ("b", 5), ("c", 999)))]  # fmt: skip
    assert find_copies(own, others) == ("y.go",)


def test_the_map_of_real_repositories(tmp_path: Path) -> None:
    ws = Workspace.make(tmp_path, repos=(), settings={"repos": {"api": {}, "web": {}, "sdk": {}}})
    ws.repo("api", {
        "proto/a.proto": 'syntax = "proto3";\npackage acme.v1;\n', "gen/a.ts": STUB,
        "go.mod": "module acme.dev/api\n", "cmd/main.go": "package main\n",
        ".github/CODEOWNERS": "/proto @contracts\n",
    })  # fmt: skip
    ws.repo("web", {"src/a.ts": STUB, "package.json": '{"name": "web", "scripts": {"test": "x"}}'})
    ws.repo("sdk", {"go.mod": "module acme.dev/sdk\nrequire acme.dev/api v1.0.0\n"})
    (ws.repos / "web" / "uncommitted.proto").write_text("package no;\n")
    settings = load_settings(tmp_path, {})

    facts = read_facts(settings, ["api", "web", "sdk"], {})

    assert facts["api"].contracts == ("proto/a.proto",)
    assert facts["api"].packages == ("acme.dev/api", "acme.v1")
    assert facts["api"].owners == ("/proto @contracts",)
    assert dict(facts["api"].folders)["proto/"] == 1
    assert facts["web"].uses == {"api": "a copy in src/a.ts"}
    assert facts["sdk"].uses == {"api": "its acme.dev/api"}
    assert facts["web"].contracts == ()
    assert facts["web"].head == git(ws.repos / "web", "rev-parse", "HEAD")
    assert code_flows(facts, "api", "web")
    assert code_flows(facts, "web", "web")
    assert not code_flows(facts, "web", "api")
    text = render_map(facts)
    assert "- is used by: `sdk`, `web`" in text
    assert "`proto/a.proto`" in text


def test_a_repository_that_is_not_there_is_named(tmp_path: Path) -> None:
    Workspace.make(tmp_path, repos=())
    settings = load_settings(tmp_path, {})
    with pytest.raises(UsageError, match="no repository is known"):
        choose_repositories(settings, ())
    with pytest.raises(UsageError, match="repository 'gone' is not at"):
        choose_repositories(settings, ("gone",))
    with pytest.raises(OrchestrError, match="there is no clone at"):
        find_start(settings, "gone")


@pytest.mark.parametrize(
    ("name", "tests"),
    [("tests", True), ("e2e", True), ("app-tests", True), ("contest", False), ("testing", False)],
)
def test_which_repository_is_of_tests(name: str, tests: bool) -> None:
    assert RepoFacts(name, "1").is_tests is tests
