"""A package of somebody else adds a kind of check: really installed, no line of ours changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import write

PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "orchestr-line-count"
version = "1.0"

[project.entry-points."orchestr.checks"]
line_count = "line_count:LineCountCheck"
broken = "line_count_broken:Nothing"
command = "line_count:LineCountCheck"

[tool.setuptools]
py-modules = ["line_count", "line_count_broken"]
"""
KIND = '''\
from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from orchestr.checks.base import CheckVerdict, Failure
from orchestr.checks.definition import CheckDefinition
from orchestr.checks.room import CheckContext
from orchestr.spec.fields import Doc, Globs, whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCountCheck(CheckDefinition):
    """No file has more lines than allowed."""

    kind: ClassVar[str] = "line_count"
    usual_timeout: ClassVar[float] = 7.0

    files: Annotated[Globs, Doc("the files to look at", ["src/**/*.py"])]
    most: Annotated[int, whole_number(1, 9999), Doc("lines of one file")] = 400

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        long = []
        for paths in room.find_files(self.files).values():
            for path in paths:
                if len(path.read_text().splitlines()) > self.most:
                    long.append(Failure(path.name, file=path.name))
        return CheckVerdict(not long, f"{len(long)} too long", tuple(long))
'''
PROGRAM = """\
import json, sys, threading
from pathlib import Path
from orchestr.checks import make_check
from orchestr.checks.base import CheckRequest
from orchestr.errors import SpecError
from orchestr.spec.reader import compile_spec, read_feature
from orchestr.spec.validate import json_schema

root = Path.cwd()
answer = {}
feature, _ = read_feature(root / "good.yaml", root=root, cache=root / "cache")
(check,) = feature.cells[0].proof.checks
answer["check"] = [check.kind, check.name, check.timeout, list(check.files), check.most]
again, _ = read_feature(root / "good.yaml", root=root, cache=root / "cache")
answer["from cache"] = again == feature
try:
    compile_spec((root / "bad.yaml").read_bytes(), "bad.yaml", "", None)
except SpecError as error:
    answer["problems"] = [f"{p.location} {p.field}: {p.message} ({p.hint})" for p in error.problems]
answer["schema"] = json_schema()["$defs"]["LineCount"]
result = make_check(check).run(CheckRequest(
    worktree=root / "tree", head="0" * 40, env={}, log=root / "log", artefacts=root / "artefacts",
    marker="test/line-count",
))
answer["result"] = [result.kind, result.passed, result.detail, [f.file for f in result.failures]]
print(json.dumps(answer))
"""
HEAD = """\
apiVersion: orchestr/v1
kind: Feature
metadata: {name: demo}
cells:
  a:
    repo: r
    todo: [work]
    checks: """
WARM = """\
import sys
from pathlib import Path
from orchestr.spec.reader import read_feature

root = Path.cwd()
read_feature(root / "good.yaml", root=root, cache=root / "cache")
print(sorted({"pydantic", "yaml"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, installed by pip without a network."""
    source = tmp_path_factory.mktemp("package")
    target = tmp_path_factory.mktemp("site")
    broken = "raise RuntimeError('needs a newer orchestr')\n"
    write(
        source,
        {"pyproject.toml": PROJECT, "line_count.py": KIND, "line_count_broken.py": broken},
    )
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--no-build-isolation", "--disable-pip-version-check", "--target", target, source],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return target


def python(site: Path, folder: Path, program: str) -> str:
    paths = [str(site), str(Path(__file__).parents[2])]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, check=True, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    return done.stdout


def test_a_kind_of_another_package_is_read_described_and_run(site: Path, tmp_path: Path) -> None:
    check = "{kind: line_count, files: ['*.txt'], most: 2}"
    bad = (
        "[{kind: line_count, most: 0, fils: [a]}, {kind: line_cuont}, {kind: broken},"
        " {kind: command, run: [make]}]"
    )
    write(
        tmp_path,
        {
            "good.yaml": f"{HEAD}[{check}]\n",
            "bad.yaml": f"{HEAD}{bad}\n",
            "tree/a.txt": "1\n2\n3\n",
            "tree/b.txt": "1\n",
        },
    )

    answer = json.loads(python(site, tmp_path, PROGRAM))

    assert answer["check"] == ["line_count", "line_count", 7.0, ["*.txt"], 2]
    assert answer["from cache"] is True
    assert answer["result"] == ["line_count", False, "1 too long", ["a.txt"]]
    assert answer["schema"]["description"] == "No file has more lines than allowed."
    assert answer["schema"]["properties"]["most"] == {
        "type": "integer", "minimum": 1, "maximum": 9999, "title": "Most", "default": 400,
        "description": "lines of one file", "examples": [400],
    }  # fmt: skip
    assert answer["problems"] == [
        "bad.yaml:8:14 cells.a.checks[0].files: is required and not there"
        " (write `files: ['src/**/*.py']`)",
        "bad.yaml:8:39 cells.a.checks[0].most: must be between 1 and 9999, got 0 (None)",
        "bad.yaml:8:42 cells.a.checks[0].fils: unknown field (did you mean `files`?)",
        "bad.yaml:8:54 cells.a.checks[1]: there is no kind of check `line_cuont`"
        " (did you mean `line_count`?)",
        "bad.yaml:8:74 cells.a.checks[2]: check kind `broken` of the package orchestr-line-count"
        " cannot be loaded: RuntimeError: needs a newer orchestr"
        " (update or remove the package, or use another kind)",
    ]
    assert python(site, tmp_path, WARM) == "[]\n"


def test_without_the_package_the_kind_is_unknown(site: Path, tmp_path: Path) -> None:
    """Also where the spec was compiled while the package was installed."""
    spec = f"{HEAD}[{{kind: line_count, files: ['*.txt']}}]\n"
    write(tmp_path, {"good.yaml": spec})
    assert python(site, tmp_path, WARM) != "[]\n"  # compiled, and kept
    assert python(site, tmp_path, WARM) == "[]\n"

    with pytest.raises(subprocess.CalledProcessError):
        python(tmp_path, tmp_path, WARM)
