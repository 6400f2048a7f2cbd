"""Which files a program writes, and the command that writes them again after a conflict.

What a repository declares comes first (`[repos.X] generated`), then lock files that everybody's
tools write. A known tool that is not installed counts as none: the file is left to the next rung of
the ladder. A declared command is run in any case, so that a wrong one is shown.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from orchestr.settings.keys import GeneratedFiles
from orchestr.spec.path_patterns import match_paths


@dataclass(frozen=True, slots=True)
class Generator:
    """``run``: the words of the command, run in ``folder`` (relative to the repository, "" for its
    top); ``paths``: gitignore patterns of what it writes.
    """

    run: tuple[str, ...]
    paths: tuple[str, ...]
    folder: str = ""


@dataclass(frozen=True, slots=True)
class KnownGenerator:
    """A file by its name, anywhere; ``needs``: a file that must lie at the repository's top."""

    name: str
    run: tuple[str, ...]
    needs: str = ""
    at_top: bool = False


# Each keeps what the lock file has and changes what the manifest asks for, without running scripts.
KNOWN: tuple[KnownGenerator, ...] = (
    KnownGenerator("package-lock.json", ("npm", "install", "--package-lock-only",
                                         "--ignore-scripts", "--no-audit", "--no-fund")),
    KnownGenerator("npm-shrinkwrap.json", ("npm", "install", "--package-lock-only",
                                           "--ignore-scripts", "--no-audit", "--no-fund")),
    KnownGenerator("pnpm-lock.yaml", ("pnpm", "install", "--lockfile-only", "--ignore-scripts")),
    KnownGenerator("yarn.lock", ("yarn", "install", "--mode=update-lockfile"), needs=".yarnrc.yml"),
    KnownGenerator("yarn.lock", ("yarn", "install", "--ignore-scripts", "--non-interactive")),
    KnownGenerator("Cargo.lock", ("cargo", "update", "--workspace")),
    KnownGenerator("go.sum", ("go", "mod", "tidy")),
    KnownGenerator("uv.lock", ("uv", "lock")),
    # `--no-update` is what version 2 does without being asked, and does not know any more.
    KnownGenerator("poetry.lock", ("sh", "-c", "poetry lock --no-update || poetry lock")),
    *(KnownGenerator(name, ("buf", "generate"), needs="buf.gen.yaml", at_top=True)
      for name in ("*.pb.go", "*_pb2.py", "*_pb2_grpc.py", "*_pb2.pyi", "*_pb.js", "*_pb.ts")),
)  # fmt: skip


def find_generator(
    path: str, declared: tuple[GeneratedFiles, ...], has_file: Callable[[str], bool]
) -> Generator | None:
    """What writes ``path``, else None. ``has_file``: whether the merged tree has a path."""
    for entry in declared:
        if match_paths(entry.paths)(path):
            return Generator(entry.run, entry.paths)
    place = PurePosixPath(path)
    for known in KNOWN:
        if not place.match(known.name) or (known.needs and not has_file(known.needs)):
            continue
        if not _is_installed(known.run):
            continue
        folder = "" if known.at_top or str(place.parent) == "." else str(place.parent)
        return Generator(known.run, (known.name if known.at_top else f"/{path}",), folder)
    return None


def _is_installed(run: tuple[str, ...]) -> bool:
    program = run[2].split()[0] if run[:2] == ("sh", "-c") else run[0]
    return shutil.which(program) is not None
