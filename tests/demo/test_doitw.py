"""The wrapper `doitw`, with a tiny project in place of ours: no network, real venvs.

The project is its own build backend and brings a program `doit` that tells its folder and
arguments, so everything but the download is what happens to a newcomer.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DOITW = Path(__file__).resolve().parents[2] / "doitw"
TOOLS = ("cat", "cksum", "mkdir", "mv", "readlink", "rm", "sh")
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tiny"
version = "1"
"""
BACKEND = '''\
"""The least PEP 660 backend: a wheel with the program `doit`."""
import zipfile
from pathlib import Path

METADATA = "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\nProvides-Extra: dev\\n"


def get_requires_for_build_editable(config=None):
    return []


def build_editable(folder, config=None, metadata=None):
    info, name = "tiny-1.dist-info", "tiny-1-py3-none-any.whl"
    files = {
        "tiny.py": "import os, sys\\ndef main(): print(os.environ['ORCHESTR_FROM'] if sys.argv[1:]"
        " == ['from'] else [os.getcwd(), *sys.argv[1:]])\\n",
        f"{info}/METADATA": METADATA,
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{info}/entry_points.txt": "[console_scripts]\\ndoit = tiny:main\\n",
    }
    with zipfile.ZipFile(Path(folder, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(f"{info}/RECORD", "".join(f"{p},,\\n" for p in files))
    return name
'''


class Project:
    """A folder with doitw in it. The interpreter is this one, first on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        shutil.copy(DOITW, folder / "doitw")
        (folder / "pyproject.toml").write_text(PYPROJECT)
        (folder / "backend.py").write_text(BACKEND)
        (folder / "requirements").mkdir()
        for lock in ("run.txt", "dev.txt"):
            (folder / "requirements" / lock).write_text("# nothing is needed\n")
        python = Path(sys._base_executable)  # type: ignore[attr-defined]
        self.path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"

    @property
    def stamp(self) -> Path:
        return self.folder / ".venv" / "doitw.stamp"

    def argv(self, *args: str, program: Path | None = None) -> list[str]:
        return [str(program or self.folder / "doitw"), *args]

    def env(self, path: str | None = None) -> dict[str, str]:
        home = str(self.folder)
        return {"PATH": path or self.path, "HOME": home, "PIP_NO_INDEX": "1", "LC_ALL": "C"}

    def call(
        self, *args: str, cwd: Path | None = None, program: Path | None = None, path: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*args, program=program),
            cwd=cwd or self.folder,
            env=self.env(path),
            capture_output=True,
            text=True,
            check=False,
        )

    def tools_only(self, python3: str) -> str:
        """A PATH with the few tools that doitw needs, and this python3."""
        folder = self.folder / "bin"
        folder.mkdir()
        for tool in TOOLS:
            (folder / tool).symlink_to(str(shutil.which(tool)))
        shim = folder / "python3"
        shim.write_text(f"#!/bin/sh\n{python3}\n")
        shim.chmod(0o755)
        return str(folder)

    def told(self, *args: str) -> str:
        return f"{[str(self.folder), *args]}\n"


def test_it_is_plain_posix_shell() -> None:
    assert os.access(DOITW, os.X_OK)
    for shell in ("sh", "dash", "bash"):
        if shutil.which(shell):
            subprocess.run([shell, "-n", str(DOITW)], check=True)


def test_an_old_python_is_named_with_what_to_do(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    done = project.call("list", path=project.tools_only("echo 3.9.2"))
    assert done.returncode == 2
    assert "needs Python 3.11 or newer; found: python3=3.9.2" in done.stderr
    assert "DOITW_PYTHON=" in done.stderr
    assert not (project.folder / ".venv").exists()


def test_a_python_without_venv_names_the_package(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    shim = f'case $2 in *ensurepip*) exit 1 ;; esac\nexec "{sys.executable}" "$@"'
    done = project.call("list", path=project.tools_only(shim))
    assert done.returncode == 2
    assert "hint: apt install python3-venv" in done.stderr


def test_a_link_to_another_venv_is_left_as_it_is(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    other = tmp_path / "other"
    (other / "bin").mkdir(parents=True)
    (other / "bin" / "mine").touch()
    (project.folder / ".venv").symlink_to(other)
    done = project.call("list")
    assert (done.returncode, "hint: rm .venv" in done.stderr) == (2, True)
    assert sorted(other.rglob("*")) == [other / "bin", other / "bin" / "mine"]


@pytest.mark.slow
def test_a_newcomers_day(tmp_path: Path) -> None:
    project = Project(tmp_path / "a 'folder' with spaces")
    first = project.call("list", "a b", "")
    assert (first.returncode, first.stdout) == (0, project.told("list", "a b", "")), first.stderr
    assert first.stderr == "doitw: making .venv (once)\n"
    assert project.stamp.read_text().splitlines()[2] == "run"

    # Warm: silent, and no python but doit's own is started.
    deaf = project.tools_only("exit 1")
    warm = project.call("run", "x", path=deaf)
    assert (warm.stdout, warm.stderr) == (project.told("run", "x"), "")

    # From elsewhere, through links to a link.
    link, again = tmp_path / "link", tmp_path / "sub" / "again"
    link.symlink_to(Path(project.folder.name) / "doitw")
    again.parent.mkdir()
    again.symlink_to("../link")
    for program in (link, again):
        done = project.call("x", program=program, cwd=tmp_path, path=deaf)
        assert (done.stdout, done.stderr) == (project.told("x"), "")
    done = project.call("from", program=again, cwd=again.parent, path=deaf)
    assert done.stdout == f"{again.parent}\n"  # what a person's relative path is relative to

    # The tests need more, once; and what is there stays there.
    tests = project.call("test", "tests/x")
    assert tests.stderr == "doitw: adding the test tools to .venv (once)\n"
    for args in (("check",), ("run", "lint"), ("list",)):
        assert project.call(*args, path=deaf).stderr == ""

    # Dependencies changed: mended in place, with the test tools.
    text = PYPROJECT + "# changed\n"
    (project.folder / "pyproject.toml").write_text(text)
    assert "up to date with pyproject.toml" in project.call("list").stderr
    assert project.stamp.read_text().splitlines()[2] == "dev"

    # pip fails: its whole output, exit 1; what was there still counts.
    (project.folder / "pyproject.toml").write_text(text.replace('"backend"', '"nowhere"'))
    broken = project.call("list")
    assert broken.returncode == 1 and broken.stdout == ""
    assert "nowhere" in broken.stderr and ".venv/doitw.log" in broken.stderr
    (project.folder / "pyproject.toml").write_text(text)
    assert project.call("list", path=deaf).stderr == ""


@pytest.mark.slow
def test_a_moved_folder_and_a_lost_interpreter_are_made_again(tmp_path: Path) -> None:
    project = Project(tmp_path / "before")
    assert project.call("list").returncode == 0
    moved = tmp_path / "after"
    project.folder.rename(moved)
    project.folder = moved
    done = project.call("list")
    assert (done.stdout, done.stderr) == (project.told("list"), "doitw: making .venv (once)\n")

    python = moved / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    done = project.call("list")
    assert (done.stdout, done.stderr) == (project.told("list"), "doitw: making .venv (once)\n")


@pytest.mark.slow
def test_two_at_once_make_one_venv(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    both = [
        subprocess.Popen(
            project.argv("list"),
            env=project.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    told = [child.communicate(timeout=120) for child in both]
    assert [out for out, _ in told] == [project.told("list")] * 2, told
    assert sum("making .venv (once)" in err for _, err in told) == 1


@pytest.mark.slow
def test_killed_half_way_it_starts_over(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    child = subprocess.Popen(
        project.argv("list"), env=project.env(), start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not (project.folder / ".venv" / "pyvenv.cfg").exists():
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    assert not project.stamp.exists()
    done = project.call("list")
    assert (done.stdout, done.stderr) == (project.told("list"), "doitw: making .venv (once)\n")
