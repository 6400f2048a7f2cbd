"""`init`: what it finds, and that the command it names next really works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest

from orchestr.commands.base.survey import survey_folder
from orchestr.settings.new_workspace import RepoEntry, repo_table
from tests.conftest import MakeRepo, git, without_our_variables, write
from tests.fork_server import run_process


def init(cwd: Path, *args: str, **env: str) -> str:
    """What `orchestr init ARGS` says."""
    program = [sys.executable, "-m", "orchestr", "init", *args]
    clean = without_our_variables(os.environ)
    done = run_process(program, cwd=cwd, env=clean | env, text=True)
    done.check_returncode()
    return str(done.stdout)


def do_next(cwd: Path, said: str) -> str:
    """Type what the last line says; returns its output."""
    last = said.splitlines()[-1]
    assert last.startswith("next: ")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", last.removeprefix("next: ")],
        cwd=cwd,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{last}\n{done.stdout}{done.stderr}"
    return done.stdout


def settings_of(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "orchestr.toml").read_text())


def make_clone(folder: Path, name: str, files: dict[str, str], *, origin: bool = True) -> Path:
    """A repository with one commit, and, where wanted, a bare origin."""
    path = folder / name
    git(folder, "init", "-q", "-b", "main", str(path))
    write(path, {"README.md": f"{name}\n", **files})
    git(path, "add", "-A")
    git(path, "commit", "-qm", "start")
    if origin:
        bare = folder / "origins" / f"{name}.git"
        git(folder, "clone", "-q", "--bare", str(path), str(bare))
        git(path, "remote", "add", "origin", str(bare))
        git(path, "fetch", "-q")
    return path


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """A folder where a person keeps clones: one with a check that is green, one without."""
    folder = tmp_path / "src"
    (folder / "origins").mkdir(parents=True)
    make_clone(folder, "beta", {"Makefile": "test:\n\ttest -f README.md\n"})
    make_clone(folder, "alpha", {})
    return folder


@pytest.mark.slow
def test_the_example_runs_in_the_repositories_beside_it(src: Path) -> None:
    said = init(src, "ws")
    assert "repository beta at ../beta; checks: Makefile has a target `test`" in said
    assert "none detected" in said
    out = do_next(src, said)
    assert "local://alpha/pull/1" in out and "local://beta/pull/1" in out
    text = git(src / "beta", "show", "example-beta:orchestr-example.md")
    assert "example, cell beta" in text
    checks = json.loads((src / "ws/.orchestr/cells/example/beta/checks.json").read_text())
    assert [(c["name"], c["passed"]) for c in checks["items"]] == [
        ("make test", True), ("example", True),
    ]  # fmt: skip
    again = init(src / "ws")
    assert "kept orchestr.toml" in again and "is not in orchestr.toml" not in again


def test_a_single_remote_of_another_name_is_found(src: Path) -> None:
    git(src / "beta", "remote", "rename", "origin", "company")
    found = {repo.name: repo for repo in survey_folder(src / "ws").found.repos}
    assert (found["alpha"].remote, found["beta"].remote) == ("", "company")
    assert found["beta"].unpublished == ""
    entry = RepoEntry("x", "../x", remote="fork", upstream="theirs")
    assert 'remote = "fork"\nupstream = "theirs"\n' in repo_table(entry)


def test_a_host_of_no_known_kind_is_named(src: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(src))
    for name in ("FORGEJO_URL", "GITEA_URL", "GITEA_SERVER_URL", "GITLAB_HOST", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    git(src / "alpha", "remote", "set-url", "origin", "https://git.corp.example/o/alpha.git")
    found = survey_folder(src / "ws").found
    assert found.forge_unknown == "what is at git.corp.example? see docs/forges.md"
    assert "forge: the folder .orchestr/forge (what is at git.corp.example?" in init(src, "ws")
    monkeypatch.setenv("GITEA_URL", "https://git.corp.example")
    monkeypatch.setenv("GITEA_TOKEN", "t")
    found = survey_folder(src / "ws").found
    assert (found.forge, found.forge_unknown) == ("gitea", "")


@pytest.mark.slow
def test_a_repository_that_came_later_is_named_with_its_table(src: Path) -> None:
    init(src, "ws")
    make_clone(src, "gamma", {"Makefile": "test:\n\ttrue\n"})
    said = init(src / "ws")
    assert "repository gamma is not in orchestr.toml; to add it there:" in said
    table = textwrap.dedent(said.partition("to add it there:\n")[2].partition("next:")[0])
    with (src / "ws/orchestr.toml").open("a") as settings:
        settings.write(table)
    assert settings_of(src / "ws")["repos"]["gamma"]["checks"][0]["name"] == "make test"
    assert "is not in orchestr.toml" not in init(src / "ws")


@pytest.mark.slow
def test_without_a_repository_the_example_has_one_of_its_own(tmp_path: Path) -> None:
    said = init(tmp_path, "a b")
    assert "no git repository is here, below or beside" in said
    assert "local://playground/pull/2" in do_next(tmp_path, said)
    root = tmp_path / "a b"
    assert git(root / "playground/clone", "rev-parse", "origin/example-second")
    again = init(root)
    assert "nothing to be done" in do_next(root, again), "what is there is kept"


@pytest.mark.slow
def test_a_workspace_may_lie_in_its_only_repository(tmp_path: Path) -> None:
    """It has no remote, so the example opens no pull request, and says so."""
    clone = make_clone(tmp_path, "app", {}, origin=False)
    (tmp_path / "no-repository").mkdir()
    said = init(clone)
    assert "the example opens no pull request there: it has no remote origin" in said
    do_next(clone, said)
    assert settings_of(clone)["repos"]["app"]["path"] == "."
    assert git(clone, "log", "--format=%s", "main..example-second").count("\n") == 1


def test_nothing_is_pushed_over_a_network_by_an_example(src: Path) -> None:
    git(src / "alpha", "remote", "set-url", "origin", "git@forge.example:me/alpha.git")
    init(src, "ws")
    spec = (src / "ws/specs/example.yaml").read_text()
    assert "no publish: it would push to git@forge.example:me/alpha.git" in spec
    assert spec.index("repo: beta") < spec.index("repo: alpha"), "who can publish is first"


def test_an_installed_agent_is_taken_and_the_demo_stays_at_hand(src: Path, tmp_path: Path) -> None:
    bin_folder = tmp_path / "bin"
    write(bin_folder, {"codex": "#!/bin/sh\n", "gemini": "#!/bin/sh\n"})
    for program in bin_folder.iterdir():
        program.chmod(0o755)
    said = init(src, "ws", PATH=f"{bin_folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    agents = settings_of(src / "ws")["agents"]
    assert agents["default"] == "codex"
    assert [agents[name]["kind"] for name in ("codex", "gemini", "demo")] == [
        "codex", "gemini", "command",
    ]  # fmt: skip
    assert "agent codex, gemini; without cost: --agent demo" in said


def test_what_cannot_be_used_is_named(src: Path, make_repo: MakeRepo) -> None:
    git(src, "init", "-q", "empty")
    write(src, {"web/package.json": '{"scripts": {"test": "jest"}}', "web/node_modules/x": ""})
    git(src / "web", "init", "-q")
    git(src / "web", "add", "package.json")
    git(src / "web", "commit", "-qm", "start")
    git(src / "alpha", "worktree", "add", "-q", str(src / "linked"))
    said = init(src, "ws")
    assert f"passed over: {src}/empty has no commit yet" in said
    assert "a new worktree has no node_modules" in said or "npm is not on PATH" in said
    assert set(settings_of(src / "ws")["repos"]) == {"alpha", "beta", "web"}
    assert "checks" not in settings_of(src / "ws")["repos"]["web"]


def test_a_folder_is_made_where_the_person_stands(tmp_path: Path) -> None:
    """`doitw` goes to its own folder first, and there is none in the new workspace."""
    here, there = tmp_path / "a person's", tmp_path / "clone"
    here.mkdir()
    there.mkdir()
    said = init(there, "my ws", ORCHESTR_FROM=str(here), ORCHESTR_AS="./doitw")
    assert (here / "my ws" / "orchestr.toml").exists()
    assert list(there.iterdir()) == []
    plan = said.splitlines()[-1].replace(" run example", " plan example")
    assert "example: An example feature" in do_next(Path("/"), plan)


def test_without_a_folder_it_is_the_current_one(tmp_path: Path) -> None:
    assert init(tmp_path).splitlines()[-1] == "next: orchestr run example"
    assert init(tmp_path, "ws").splitlines()[-1] == "next: cd ws && orchestr run example"
    assert init(tmp_path, "b c").splitlines()[-1] == "next: cd 'b c' && orchestr run example"
    assert (tmp_path / "b c" / "specs" / "example.yaml").exists()


def test_what_is_no_folder_is_refused_and_odd_names_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for words, told in ((("file",), "file is a file, not a folder"), (("a", "b"), "one folder")):
        program = [sys.executable, "-m", "orchestr", "init", *words]
        done = run_process(program, cwd=tmp_path, env=dict(os.environ), text=True)
        assert done.returncode != 0 and told in done.stderr, words
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    assert "2 done" in do_next(tmp_path, init(tmp_path, "--", "-dash"))
    assert f"warning: {tmp_path / '-dash'} is a workspace, too" in init(tmp_path / "-dash", "inner")


def test_an_empty_git_folder_above_is_no_repository(src: Path) -> None:
    """Sandboxes of agents leave one behind in a shared folder."""
    (src.parent / ".git").mkdir()
    assert "repository beta at ../beta" in init(src, "ws")


def test_the_forge_is_that_of_the_remotes(src: Path) -> None:
    """Two at a GitLab of one's own that glab has a login for, one at GitHub without a login."""
    for name, url in (
        ("alpha", "git@git.corp.example:team/sub/alpha.git"),
        ("beta", "https://git.corp.example/team/beta.git"),
    ):
        git(src / name, "remote", "set-url", "origin", url)
    make_clone(src, "gamma", {})
    git(src / "gamma", "remote", "set-url", "origin", "https://github.com/o/gamma.git")
    config = src / "glab" / "config.yml"
    config.parent.mkdir()
    env = {"GLAB_CONFIG_DIR": str(config.parent), "GH_CONFIG_DIR": str(src / "gh"), "GH_TOKEN": ""}
    assert "forge: the folder .orchestr/forge" in init(src, "none", **env)
    assert settings_of(src / "none")["forge"]["kind"] == "local"

    config.write_text("hosts:\n  git.corp.example:\n    token: glpat-fakeFakeFake0123\n")
    said = init(src, "ws", **env)
    assert "forge: GitLab, GitHub" in said
    assert "glpat-" not in said
    settings = settings_of(src / "ws")
    assert settings["forge"]["kind"] == "gitlab"
    assert {name: repo.get("forge") for name, repo in settings["repos"].items()} == {
        "alpha": None, "beta": None, "gamma": "github",
    }  # fmt: skip
