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

from orchestr.checks.kinds.command import CommandCheck
from orchestr.checks.kinds.junit import JunitCheck
from orchestr.checks.kinds.pytest import PytestCheck
from orchestr.spec.checks import CheckDef

LIMIT = 1 << 20  # bytes of a file that is looked into
MOST = 8  # folders of a monorepo that are proposed
_FOLDERS = 200  # that are looked into
_NESTS = frozenset({"apps", "cmd", "crates", "libs", "modules", "packages", "services"})
_PASSED = frozenset({"build", "dist", "node_modules", "out", "target", "vendor", "venv"})
_NO_TESTS = "no test specified"  # npm init writes this


@dataclass(frozen=True, slots=True)
class CheckProposal:
    """A check that would fit, and what it was seen from."""

    check: CheckDef
    reason: str


def detect_checks(checkout: Path) -> tuple[CheckProposal, ...]:
    """The checks that fit a checkout, the languages' own first; ``make`` only where there are none.

    Never raises: what cannot be read is not there.
    """
    found = _detect_in_folder(checkout)
    if found:
        return tuple(found)
    for folder in _list_monorepo_folders(checkout):
        for proposal in _detect_in_folder(folder):
            place = folder.relative_to(checkout).as_posix()
            check = replace(proposal.check, cwd=place, name=f"{proposal.check.name} {place}")
            found.append(CheckProposal(check, f"{proposal.reason} in {place}"))
        if len(found) >= MOST:
            break
    return tuple(found[:MOST])


def _detect_in_folder(folder: Path) -> list[CheckProposal]:
    """What one folder offers."""
    looks = (_detect_pytest, _detect_go, _detect_maven, _detect_node, _detect_cargo)
    found = [proposal for look in looks if (proposal := look(folder)) is not None]
    if not found and (proposal := _detect_make(folder)) is not None:
        found.append(proposal)
    return found


def _list_monorepo_folders(checkout: Path) -> Iterator[Path]:
    """The folders where a monorepo keeps its parts, by name: at the top, and in nests there."""
    top = _list_subfolders(checkout)
    nested = [
        below for folder in top if folder.name in _NESTS for below in _list_subfolders(folder)
    ]
    yield from [*top, *nested][:_FOLDERS]


def _list_subfolders(folder: Path) -> list[Path]:
    """Real folders only: a link may lead anywhere."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [folder / n for n in sorted(names) if _is_plain_name(n) and n not in _PASSED]


def _is_plain_name(name: str) -> bool:
    """Whether a folder's name can stand in a spec and in a log's name as it is."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name) is not None


def proposal_as_yaml(proposal: CheckProposal) -> str:
    """The line to write under ``checks:``."""
    pairs = []
    for key, value in _list_fields(proposal.check).items():
        match value:
            case dict():
                text = "{" + ", ".join(f"{k}: {json.dumps(v)}" for k, v in value.items()) + "}"
            case list() if key == "run":
                text = f"[{', '.join(value)}]"
            case str() if key == "kind":
                text = value
            case _:
                text = json.dumps(value)  # a folder may be called 1 or no
        pairs.append(f"{key}: {text}")
    return "{" + ", ".join(pairs) + "}"


def proposal_as_toml(proposal: CheckProposal) -> str:
    """The inline table to write into ``[repos.NAME] checks``."""
    fields = _list_fields(proposal.check)
    if isinstance(proposal.check, CommandCheck):  # else it would be called `command`
        words = [*proposal.check.run[:2], *([proposal.check.cwd] if proposal.check.cwd else [])]
        fields = {"kind": fields.pop("kind"), "name": " ".join(words), **fields}
    pairs = []
    for key, value in fields.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict):
            text = "{" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in value.items()) + "}"
        pairs.append(f"{key} = {text}")
    return "{" + ", ".join(pairs) + "}"


def _list_fields(check: CheckDef) -> dict[str, str | list[str] | dict[str, str]]:
    """What has to be written for a check that was detected."""
    found: dict[str, str | list[str] | dict[str, str]] = {"kind": check.kind}
    if isinstance(check, CommandCheck | JunitCheck):
        found["run"] = list(check.run)
    if isinstance(check, JunitCheck):
        found["reports"] = list(check.reports)
    if check.env:
        found["env"] = dict(check.env)
    if check.cwd:
        found["cwd"] = check.cwd
    return found


def _detect_pytest(root: Path) -> CheckProposal | None:
    for name, mark in (
        ("pyproject.toml", r"^\[tool\.pytest\b"), ("setup.cfg", r"^\[tool:pytest\]"),
        ("tox.ini", r"^\[pytest\]"), ("pytest.ini", ""), ("conftest.py", ""),
    ):  # fmt: skip
        text = _read_text(root / name)
        if text is not None and re.search(mark, text, re.MULTILINE):
            reason = f"{name} has settings of pytest" if mark else f"there is a {name}"
            return CheckProposal(_make_pytest_check(), reason)
    for folder in (root, root / "tests", root / "test"):
        first = _find_first(folder, "test_*.py") or _find_first(folder, "*_test.py")
        if first is not None:
            return CheckProposal(
                _make_pytest_check(), f"there is a {first.relative_to(root).as_posix()}"
            )
    return None


def _make_pytest_check() -> PytestCheck:
    return PytestCheck(name="pytest", timeout=PytestCheck.usual_timeout)


def _detect_go(root: Path) -> CheckProposal | None:
    if _read_text(root / "go.mod") is None:
        return None
    return CheckProposal(_make_command_check("go", "go", "test", "./..."), "there is a go.mod")


def _detect_maven(root: Path) -> CheckProposal | None:
    if _read_text(root / "pom.xml") is None:
        return None
    program = "./mvnw" if _read_text(root / "mvnw") is not None else "mvn"
    check = JunitCheck(
        name="maven",
        timeout=JunitCheck.usual_timeout,
        run=(program, "-B", "test"),
        reports=("**/target/surefire-reports/TEST-*.xml",),
    )
    return CheckProposal(check, "there is a pom.xml")


def _detect_node(root: Path) -> CheckProposal | None:
    try:
        value = json.loads(_read_text(root / "package.json") or "")
        script = value["scripts"]["test"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(script, str) or not script.strip() or _NO_TESTS in script:
        return None
    locks = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn"}
    program = next(
        (tool for lock, tool in locks.items() if _read_text(root / lock) is not None), "npm"
    )
    check = CommandCheck(
        name=program, timeout=CommandCheck.usual_timeout, run=(program, "test"), env=(("CI", "1"),)
    )  # without CI several runners wait for a key
    return CheckProposal(check, "package.json has a script `test`")


def _detect_cargo(root: Path) -> CheckProposal | None:
    if _read_text(root / "Cargo.toml") is None:
        return None
    return CheckProposal(_make_command_check("cargo", "cargo", "test"), "there is a Cargo.toml")


def _detect_make(root: Path) -> CheckProposal | None:
    for name in ("GNUmakefile", "makefile", "Makefile"):
        text = _read_text(root / name)
        if text is None:
            continue
        for target in ("check", "test"):
            if re.search(rf"^{target}\s*::?(?!=)", text, re.MULTILINE):
                reason = f"{name} has a target `{target}`"
                return CheckProposal(_make_command_check("make", "make", target), reason)
        return None
    return None


def _make_command_check(name: str, *run: str) -> CommandCheck:
    return CommandCheck(name=name, timeout=CommandCheck.usual_timeout, run=run)


def _read_text(path: Path) -> str | None:
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


def _find_first(folder: Path, pattern: str) -> Path | None:
    """The first file of that name, by name."""
    try:
        if folder.is_symlink():
            return None
        found = (p for p in folder.glob(pattern) if p.is_file() and not p.is_symlink())
        return min(found, default=None)
    except OSError:
        return None
