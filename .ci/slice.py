"""A slice of the tests in an environment of other versions: `slice.py lowest|newest`.

The locks in requirements/ say what is installed everywhere; these two say whether the bounds in
pyproject.toml are true: `lowest` installs exactly the lower bound of every dependency, `newest` the
newest of everything. Makes a venv in a temporary folder, installs the project there, runs the slice
(specs, plan, checks, settings, the demo built and landed) and removes the folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SLICE = ("tests/spec", "tests/plan", "tests/checks", "tests/test_config.py",
         "tests/landing/test_demo_lands.py")  # fmt: skip
# What the tests themselves need; the rest of [dev] are linters.
TOOLS = ("hypothesis", "mypy", "pytest", "pytest-xdist")


def requirements(which: str) -> list[str]:
    """The words for pip: exact lower bounds, or the names with their bounds as they are."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [one.partition(",")[0] for one in project["dependencies"]]
    if which == "lowest":
        return [one.replace(">=", "==") for one in wanted]
    return list(project["dependencies"])


def main(which: str) -> int:
    with tempfile.TemporaryDirectory(prefix=f"orchestr-{which}-") as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        python = str(folder / "venv" / "bin" / "python")
        pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "--upgrade", *requirements(which), *TOOLS, "setuptools"], check=True)
        editable = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
        subprocess.run([*pip, *editable], check=True)
        print(f"--- the slice with the {which} versions", flush=True)
        tests = [python, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *SLICE]
        # Fresh interpreters, as users have them: the whole suite forks most from a warm one.
        environment = {**os.environ, "ORCHESTR_TEST_FRESH": "1"}
        return subprocess.run(tests, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
