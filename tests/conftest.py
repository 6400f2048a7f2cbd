"""What every test stands on: no home, no network, real repositories with pinned history."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from orchestr.sandbox.choose import SandboxKind
from tests.sandbox.walls import why_no_wall

collect_ignore = ["data/forge_package"]  # of its own: tests/e2e/test_extending.py runs it
GLOBAL = """\
[user]
\tname = Tess Tester
\temail = tess@example.org
[init]
\tdefaultBranch = main
[commit]
\tgpgSign = false
"""
WALL = "ORCHESTR_SET_SANDBOX_MODE"
DATE = "2024-05-06T07:08:09+00:00"


@pytest.fixture(scope="session", autouse=True)
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """HOME is an empty folder, git reads no file of this machine, the network is an error."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a shell's background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    home = tmp_path_factory.mktemp("home")
    config = home / "gitconfig"
    config.write_text(GLOBAL)
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("GIT_") and n != "GIT_EXEC_PATH"]:
            patch.delenv(name)
        for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
            patch.delenv(name, raising=False)
        for name in [n for n in os.environ if n.startswith("ORCHESTR_")]:
            if not name.startswith("ORCHESTR_TEST_"):
                patch.delenv(name)  # the wrapper's own words (ORCHESTR_AS) among them
        # Hundreds of our processes would compile all of our modules each: 0.2 s of CPU.
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("HOME", str(home))
        patch.setenv("GIT_CONFIG_GLOBAL", str(config))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("GIT_ALLOW_PROTOCOL", "file")
        # What is noticed without a wall is tested without one; tests of the wall say so themselves.
        # `ORCHESTR_TEST_SANDBOX=bwrap` runs everything behind it.
        patch.setenv(WALL, os.environ.get("ORCHESTR_TEST_SANDBOX", "none"))
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            patch.setenv(name, "http://127.0.0.1:9")
        yield home


@pytest.fixture
def wall(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What stands around the programs of this test's workspaces: `none` or `bwrap`."""
    name: str = request.param
    if name != "none" and (why := why_no_wall(SandboxKind(name))):
        pytest.skip(why)
    monkeypatch.setenv(WALL, name)
    return name


def without_our_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without variables of ours, but for the wall that `sealed` has chosen."""
    return {k: v for k, v in environ.items() if not k.startswith("ORCHESTR_") or k == WALL}


def git(path: Path, *args: str, stdin: str | None = None, **env: str) -> str:
    """git as the test's own hands; returns stdout without the last newline."""
    pinned = {"GIT_AUTHOR_DATE": DATE, "GIT_COMMITTER_DATE": DATE, "LC_ALL": "C"}
    done = subprocess.run(
        ["git", "-C", str(path), *args],
        env={**os.environ, **pinned, **env},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"git {' '.join(args)}: {done.stderr}{done.stdout}"
    return done.stdout.removesuffix("\n")


def write(path: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below ``path``."""
    for name, content in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())


@dataclass(frozen=True)
class Sandbox:
    """A repository in a temporary folder, with its origin (a bare one beside it) or without."""

    path: Path
    origin: Path | None

    def git(self, *args: str, stdin: str | None = None, **env: str) -> str:
        return git(self.path, *args, stdin=stdin, **env)

    def commit(
        self, files: Mapping[str, str | bytes], message: str = "change", *, push: bool = False
    ) -> str:
        """Commit files on the branch checked out; returns the commit."""
        write(self.path, files)
        self.git("add", "-A")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        if push:
            self.git("push", "--quiet", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")


MakeRepo = Callable[..., Sandbox]


@pytest.fixture
def make_repo(tmp_path: Path) -> MakeRepo:
    """``make_repo("name", files=..., origin=True)``: a real repository on branch main."""

    def make(
        name: str = "repo",
        *,
        files: Mapping[str, str | bytes] | None = None,
        origin: bool = True,
        where: Path | None = None,
    ) -> Sandbox:
        root = where or tmp_path
        path = root / name
        bare = root / f"{name}.git" if origin else None
        made = make_template(tuple((files or {"README.md": f"# {name}\n"}).items()), origin)
        shutil.copytree(made / "one", path, symlinks=True)
        if bare is not None:
            shutil.copytree(made / "one.git", bare, symlinks=True)
            git(path, "remote", "set-url", "origin", str(bare))
            fetched = path / ".git" / "FETCH_HEAD"
            fetched.write_text(fetched.read_text().replace(str(made / "one.git"), str(bare)))
        git(path, "update-index", "-q", "--refresh")  # the index knows inodes
        return Sandbox(path, bare)

    return make


@cache
def make_template(files: tuple[tuple[str, str | bytes], ...], origin: bool) -> Path:
    """A folder with a repository `one`, and its origin `one.git`; made once, tests get copies."""
    folder = Path(tempfile.mkdtemp(prefix="orchestr-repo-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path, bare = folder / "one", folder / "one.git"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    sandbox = Sandbox(path, bare)
    sandbox.commit(dict(files), "first")
    if origin:
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        sandbox.git("remote", "add", "origin", str(bare))
        sandbox.git("push", "--quiet", "origin", "main")
        sandbox.git("fetch", "--quiet", "origin")
        sandbox.git("remote", "set-head", "origin", "main")
    return folder
