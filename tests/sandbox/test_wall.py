"""What a wall is asked for, as a plan: without entering it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestr.sandbox.places import locate_caches, locate_in_home
from orchestr.sandbox.wall import (
    ConfigFolder,
    GitPlaces,
    NetworkPlan,
    WallRequest,
    find_listening_sockets,
    plan_wall,
    prepare_branch_places,
)
from orchestr.settings.limit_records import SandboxSettings
from tests.conftest import MakeRepo


@pytest.fixture
def request_for(tmp_path: Path) -> Iterator[Any]:
    """Requests of a cell in a temporary workspace, with a home folder of its own."""
    for name in ("home/.ssh", "home/code", "ws/.orchestr/attempt", "work"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "blank").touch()

    def make(**wanted: Any) -> WallRequest:
        return WallRequest(
            **{
                "worktree": tmp_path / "work",
                "folder": tmp_path / "ws/.orchestr/attempt",
                "hidden": tmp_path / "ws/.orchestr",
                "caches": tmp_path / "ws/.orchestr/caches",
                "blank": tmp_path / "blank",
                "settings": SandboxSettings(),
                "env": {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin"},
                **wanted,
            }
        )

    yield make


def mounts(request: WallRequest) -> dict[str, str]:
    """Path -> option, of a plan."""
    words = plan_wall(request, "bwrap", has_scopes=False)["mounts"]
    found, at = {}, 0
    while at < len(words):
        two = words[at] == "--tmpfs"
        found[words[at + (1 if two else 2)]] = words[at]
        at += 2 if two else 3
    return found


def test_a_usual_plan(request_for: Any, tmp_path: Path) -> None:
    found = mounts(request_for())
    home = tmp_path / "home"
    assert found[str(tmp_path / "work")] == "--bind"
    assert found["/tmp"] == "--bind"
    assert found["/run"] == found[str(home)] == "--tmpfs"
    assert found[str(home / "code")] == "--ro-bind"
    assert found.get(str(home / ".ssh"), "--tmpfs") == "--tmpfs"
    assert found[str(home / ".cache")] == "--bind"


def test_what_the_settings_add(request_for: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "private").mkdir()
    settings = SandboxSettings(hide=("~/private",), show=("~/.ssh",), write=("~/code",))
    found = mounts(request_for(settings=settings))
    assert found[str(home / "private")] == "--tmpfs"
    assert found[str(home / ".ssh")] == "--ro-bind"
    assert found[str(home / "code")] == "--bind"


def test_a_workspace_that_is_the_home_folder_shows_no_secrets(
    request_for: Any, tmp_path: Path
) -> None:
    found = mounts(request_for(read=(tmp_path / "home",)))
    assert found[str(tmp_path / "home" / ".ssh")] == "--tmpfs"


def test_what_would_show_everything_is_not_mounted(request_for: Any) -> None:
    found = mounts(request_for(read=(Path("/"), Path("/tmp"))))
    assert found["/tmp"] == "--bind"


def test_an_agents_settings_are_a_copy(request_for: Any, tmp_path: Path) -> None:
    mine = tmp_path / "home" / ".codex"
    mine.mkdir()
    (mine / "config.toml").write_text("x = 1\n")
    folder = ConfigFolder(mine, ((mine / "config.toml", "config.toml"),))
    request = request_for(config=(folder,))
    assert mounts(request)[str(mine)] == "--bind"
    copy = request.folder / "config-0" / "config.toml"
    assert copy.read_text() == "x = 1\n"
    copy.write_text("planted\n")
    mounts(request)
    assert copy.read_text() == "x = 1\n"
    assert (mine / "config.toml").read_text() == "x = 1\n"


@pytest.mark.parametrize(
    "plan, kind",
    [(NetworkPlan(), "all"), (NetworkPlan(("all",)), "all"), (NetworkPlan(()), "none"),
     (NetworkPlan((), ("api.example.org",)), "rules"), (NetworkPlan(("a.example",)), "rules")],
)  # fmt: skip
def test_the_network(request_for: Any, plan: NetworkPlan, kind: str) -> None:
    found = plan_wall(request_for(network=plan), "bwrap", has_scopes=False)["network"]
    assert found["kind"] == kind


def test_places_of_a_branch(make_repo: MakeRepo) -> None:
    repo = make_repo()
    repo.git("branch", "feature/one")
    repo.git("branch", "feature/two")
    common = repo.path / ".git"
    written, fixed = prepare_branch_places(GitPlaces(common / "worktrees/x", common), "feature/one")
    assert common / "refs/heads/feature" in written
    assert common / "refs/heads" not in written
    assert common / "refs/heads/feature/two" in fixed
    assert common / "refs/heads/feature/one" not in fixed
    assert {common / "objects/pack", common / "objects/info"} <= set(fixed)


def test_places_follow_the_users_variables() -> None:
    env = {"XDG_CONFIG_HOME": "/conf", "CARGO_HOME": "/cargo"}
    assert locate_in_home(".config/gh", Path("/home/me"), env) == Path("/conf/gh")
    assert locate_in_home(".ssh", Path("/home/me"), env) == Path("/home/me/.ssh")
    assert (".cargo/registry", Path("/cargo/registry")) in set(locate_caches(Path("/home/me"), env))


@pytest.mark.parametrize("private", [Path("/run"), Path("/tmp")])
def test_listening_sockets_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private: Path
) -> None:
    """Also those of a home that lies in a folder which programs have their own one of."""
    folder = private if private == Path("/run") else tmp_path.parent
    monkeypatch.setattr("orchestr.sandbox.wall.PRIVATE", (folder,))
    home = Path("/home/me") if folder == private else tmp_path
    place = tmp_path / "a socket"
    with closing(socket.socket(socket.AF_UNIX)) as service:
        service.bind(str(place))
        service.listen()
        assert place in find_listening_sockets(home)
        assert (place in find_listening_sockets(Path("/home/me"))) == (folder == private)
    place.unlink()
    assert place not in find_listening_sockets(home)


def test_a_program_is_seen_wherever_it_is_installed(request_for: Any, tmp_path: Path) -> None:
    """In a folder of node's modules, in a virtual environment, among its own agent's settings."""
    modules, venv = tmp_path / "npm/node_modules", tmp_path / "venv"
    links = (
        ("npm/node_modules/.bin/cli", "npm/node_modules/@a/cli/cli.js"),
        ("venv/bin/tool", "lib/tool"),
        ("home/bin/agent", "home/.opencode/bin/opencode"),
    )
    for link, target in links:
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / target).write_text("#!/bin/sh\n")
        (tmp_path / target).chmod(0o755)
        (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / link).symlink_to(tmp_path / target)
    (venv / "pyvenv.cfg").touch()
    home = tmp_path / "home"
    env = {"HOME": str(home), "PATH": f"{venv / 'bin'}:{home}:{home / 'bin'}:/tmp"}
    found = mounts(request_for(env=env, program=str(modules / ".bin" / "cli")))
    for place in (modules, venv, tmp_path / "lib"):
        assert found[str(place)] == "--ro-bind"
    assert found[str(home)] == found[str(home / ".opencode")] == "--tmpfs"
    assert found["/tmp"] == "--bind"
    assert str(home / ".opencode/bin") not in found
    found = mounts(request_for(env=env, program="agent"))
    assert found[str(home / ".opencode/bin")] == "--ro-bind"
