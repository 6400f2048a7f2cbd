"""What a repository can be checked with, when nobody has said so.

Looks at names and a few small files at the top of a checkout, and, where nothing is there, in its
folders and those of them that hold packages (``packages/web``); runs nothing. What it finds is
proposed by `plan`, and run only where ``[repos.X] detect = true`` says so. The repository is not
trusted: links, pipes, and what is no UTF-8 or too large are not looked into.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from orchestr.spec.checks import (
    TIMEOUTS,
    CheckDef,
    CheckKind,
    CommandCheck,
    JunitCheck,
    PytestCheck,
)

LIMIT = 1 << 20  # bytes of a file that is looked into
MOST = 8  # folders of a monorepo that are proposed
_FOLDERS = 200  # that are looked into
_NESTS = frozenset({"apps", "cmd", "crates", "libs", "modules", "packages", "services"})
_PASSED = frozenset({"build", "dist", "node_modules", "out", "target", "vendor", "venv"})
_NO_TESTS = "no test specified"  # npm init writes this


@dataclass(frozen=True, slots=True)
class Proposal:
    """A check that would fit, and what it was seen from."""

    check: CheckDef
    reason: str


def detect(checkout: Path) -> tuple[Proposal, ...]:
    """The checks that fit a checkout, the languages' own first; ``make`` only where there are none.

    Never raises: what cannot be read is not there.
    """
    found = _in(checkout)
    if found:
        return tuple(found)
    for folder in _folders(checkout):
        for proposal in _in(folder):
            place = folder.relative_to(checkout).as_posix()
            check = replace(proposal.check, cwd=place, name=f"{proposal.check.name} {place}")
            found.append(Proposal(check, f"{proposal.reason} in {place}"))
        if len(found) >= MOST:
            break
    return tuple(found[:MOST])


def _in(folder: Path) -> list[Proposal]:
    """What one folder offers."""
    looks = (_pytest, _go, _maven, _node, _cargo)
    found = [proposal for look in looks if (proposal := look(folder)) is not None]
    if not found and (proposal := _make(folder)) is not None:
        found.append(proposal)
    return found


def _folders(checkout: Path) -> Iterator[Path]:
    """The folders where a monorepo keeps its parts, by name: at the top, and in nests there."""
    top = _inside(checkout)
    nested = [below for folder in top if folder.name in _NESTS for below in _inside(folder)]
    yield from [*top, *nested][:_FOLDERS]


def _inside(folder: Path) -> list[Path]:
    """Real folders only: a link may lead anywhere."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [folder / n for n in sorted(names) if _is_plain(n) and n not in _PASSED]


def _is_plain(name: str) -> bool:
    """Whether a folder's name can stand in a spec and in a log's name as it is."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name) is not None


def as_yaml(proposal: Proposal) -> str:
    """The line to write under ``checks:``."""
    check = proposal.check
    cwd = f", cwd: {json.dumps(check.cwd)}" if check.cwd else ""  # a folder may be called 1 or no
    match check:
        case CommandCheck():
            pairs = ", ".join(f"{k}: {json.dumps(v)}" for k, v in check.env)
            env = f", env: {{{pairs}}}" if pairs else ""
            return f"{{kind: command, run: [{', '.join(check.run)}]{env}{cwd}}}"
        case JunitCheck():
            reports = ", ".join(json.dumps(glob) for glob in check.reports)
            return f"{{kind: junit, run: [{', '.join(check.run)}], reports: [{reports}]{cwd}}}"
        case _:
            return f"{{kind: {check.kind}{cwd}}}"


def _pytest(root: Path) -> Proposal | None:
    for name, mark in (
        ("pyproject.toml", r"^\[tool\.pytest\b"), ("setup.cfg", r"^\[tool:pytest\]"),
        ("tox.ini", r"^\[pytest\]"), ("pytest.ini", ""), ("conftest.py", ""),
    ):  # fmt: skip
        text = _read(root / name)
        if text is not None and re.search(mark, text, re.MULTILINE):
            reason = f"{name} has settings of pytest" if mark else f"there is a {name}"
            return Proposal(_of_pytest(), reason)
    for folder in (root, root / "tests", root / "test"):
        first = _first(folder, "test_*.py") or _first(folder, "*_test.py")
        if first is not None:
            return Proposal(_of_pytest(), f"there is a {first.relative_to(root).as_posix()}")
    return None


def _of_pytest() -> PytestCheck:
    return PytestCheck(name="pytest", timeout=TIMEOUTS[CheckKind.PYTEST])


def _go(root: Path) -> Proposal | None:
    if _read(root / "go.mod") is None:
        return None
    return Proposal(_command("go", "go", "test", "./..."), "there is a go.mod")


def _maven(root: Path) -> Proposal | None:
    if _read(root / "pom.xml") is None:
        return None
    program = "./mvnw" if _read(root / "mvnw") is not None else "mvn"
    check = JunitCheck(
        name="maven",
        timeout=TIMEOUTS[CheckKind.JUNIT],
        run=(program, "-B", "test"),
        reports=("**/target/surefire-reports/TEST-*.xml",),
    )
    return Proposal(check, "there is a pom.xml")


def _node(root: Path) -> Proposal | None:
    try:
        value = json.loads(_read(root / "package.json") or "")
        script = value["scripts"]["test"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(script, str) or not script.strip() or _NO_TESTS in script:
        return None
    locks = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn"}
    program = next((tool for lock, tool in locks.items() if _read(root / lock) is not None), "npm")
    check = CommandCheck(
        name=program, timeout=TIMEOUTS[CheckKind.COMMAND], run=(program, "test"), env=(("CI", "1"),)
    )  # without CI several runners wait for a key
    return Proposal(check, "package.json has a script `test`")


def _cargo(root: Path) -> Proposal | None:
    if _read(root / "Cargo.toml") is None:
        return None
    return Proposal(_command("cargo", "cargo", "test"), "there is a Cargo.toml")


def _make(root: Path) -> Proposal | None:
    for name in ("GNUmakefile", "makefile", "Makefile"):
        text = _read(root / name)
        if text is None:
            continue
        for target in ("check", "test"):
            if re.search(rf"^{target}\s*::?(?!=)", text, re.MULTILINE):
                reason = f"{name} has a target `{target}`"
                return Proposal(_command("make", "make", target), reason)
        return None
    return None


def _command(name: str, *run: str) -> CommandCheck:
    return CommandCheck(name=name, timeout=TIMEOUTS[CheckKind.COMMAND], run=run)


def _read(path: Path) -> str | None:
    """A small text file of the repository's own; None for a link, a pipe, or nothing.

    What is longer than LIMIT is cut: where a mark is looked for, that is all that can be done.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            return stream.read(LIMIT).decode("utf-8", "replace")
    except (OSError, ValueError):
        return None


def _first(folder: Path, pattern: str) -> Path | None:
    """The first file of that name, by name."""
    try:
        if folder.is_symlink():
            return None
        found = (p for p in folder.glob(pattern) if p.is_file() and not p.is_symlink())
        return min(found, default=None)
    except OSError:
        return None
