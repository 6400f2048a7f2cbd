"""What a repository can be checked with, when nobody has said so.

Looks at names and a few small files at the top of a checkout; runs nothing. What it finds is
proposed by `plan`, and run only where ``[repos.X] detect = true`` says so.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from orchestr.spec.proof import TIMEOUTS, CheckDef, CheckKind, CommandCheck, JunitCheck, PytestCheck

LIMIT = 1 << 20  # bytes of a file that is looked into
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
    found = [
        proposal
        for look in (_pytest, _go, _maven, _node, _cargo)
        if (proposal := look(checkout)) is not None
    ]
    if not found and (proposal := _make(checkout)) is not None:
        found.append(proposal)
    return tuple(found)


def as_yaml(proposal: Proposal) -> str:
    """The line to write under ``checks:``."""
    check = proposal.check
    match check:
        case CommandCheck():
            env = f", env: {{{', '.join(f'{k}: {json.dumps(v)}' for k, v in check.env)}}}"
            return f"{{kind: command, run: [{', '.join(check.run)}]{env if check.env else ''}}}"
        case JunitCheck():
            reports = ", ".join(json.dumps(glob) for glob in check.reports)
            return f"{{kind: junit, run: [{', '.join(check.run)}], reports: [{reports}]}}"
        case _:
            return f"{{kind: {check.kind}}}"


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
    program = "./mvnw" if (root / "mvnw").is_file() else "mvn"
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
    program = next((tool for lock, tool in locks.items() if (root / lock).is_file()), "npm")
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
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            return stream.read(LIMIT).decode("utf-8", "replace")
    except OSError:
        return None


def _first(folder: Path, pattern: str) -> Path | None:
    try:
        return min(folder.glob(pattern), default=None)
    except OSError:
        return None
