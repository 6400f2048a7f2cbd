"""A file system without flock (NFS without its daemon, some containers): what the message says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.workspace import FEATURE, Workspace, both

SOURCE = """\
#include <errno.h>
int flock(int fd, int how) { errno = NUMBER; return -1; }
"""


@pytest.fixture(params=["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def no_locks(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment of programs for whom every flock fails so."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler, so no library that fails flock")
    source, library = tmp_path / "none.c", tmp_path / "none.so"
    source.write_text(SOURCE.replace("NUMBER", request.param))
    words = [compiler, "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run(words, check=True, capture_output=True)
    return {"LD_PRELOAD": str(library), "ORCHESTR_TEST_FRESH": "1"}


@pytest.mark.slow
def test_a_run_says_what_it_means_and_what_to_set(no_locks: dict[str, str], tmp_path: Path) -> None:
    made = Workspace.make(tmp_path / "w", cells={"one": {}})
    for words in (["run", FEATURE], ["run", FEATURE], ["abort", FEATURE]):
        done = made.run(*words, env=no_locks, code=2)
        assert "on a file system that cannot lock files" in done.stderr, both(done)
        assert "ORCHESTR_HOME=/a/local/folder" in done.stderr
    assert not made.starts()
    elsewhere = {"ORCHESTR_HOME": str(tmp_path / "local")}
    made.run("run", FEATURE, env=elsewhere, code=0)
