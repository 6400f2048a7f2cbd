"""A cheap map of a workspace's repositories: what a draft has to know before code is read.

Pure: file lists and a few small files in, records and Markdown out. `orchestr.draft.read_repos`
asks git. What is found is a hint for the drafting agent, and evidence for the rule on edges: code
flows where a repository names a package of another one, or holds a copy of one of its files.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

LANGUAGES = {
    ".c": "C", ".cc": "C++", ".cpp": "C++", ".cs": "C#", ".ex": "Elixir",
    ".go": "Go", ".java": "Java",
    ".js": "JavaScript", ".jsx": "JavaScript", ".kt": "Kotlin", ".php": "PHP", ".proto": "Protobuf",
    ".py": "Python", ".rb": "Ruby", ".rs": "Rust", ".scala": "Scala", ".sh": "Shell", ".sql": "SQL",
    ".swift": "Swift", ".ts": "TypeScript", ".tsx": "TypeScript", ".tf": "Terraform",
}  # fmt: skip
MANIFESTS = ("package.json", "go.mod", "pyproject.toml", "Cargo.toml", "pom.xml", "buf.yaml",
             "setup.cfg", "requirements.txt", "build.gradle", "build.gradle.kts")  # fmt: skip
NAMED = ("package.json", "go.mod", "pyproject.toml", "Cargo.toml", "pom.xml", "buf.yaml")
OWNERS = ("CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS")
COMMON = frozenset({"license", "copying", "notice", "readme", "code_of_conduct", "contributing"})
SHORTEST = 4  # characters of a package's name that is looked for elsewhere
SMALLEST = 120  # bytes of a file whose copy elsewhere means something
MOST = 12  # entries of a list in the text
_SPEC = re.compile(r"(?:open-?api|swagger)[\w.-]*\.(?:ya?ml|json)", re.IGNORECASE)
_PROTO_PACKAGE = re.compile(r"^\s*package\s+([\w.]+)\s*;", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TreeFile:
    """One file of a commit: its path, blob and size in bytes."""

    path: str
    blob: str
    size: int


@dataclass(frozen=True, slots=True)
class RepoFacts:
    """What is known of one repository. ``packages`` are the names that others can use;
    ``contracts`` paths of protos and OpenAPI documents; ``uses`` maps another repository to what
    was seen of it here.
    """

    name: str
    head: str
    base: str = ""
    languages: tuple[tuple[str, int], ...] = ()
    folders: tuple[tuple[str, int], ...] = ()
    owners: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    has_checks: bool = False
    contracts: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    uses: Mapping[str, str] | None = None

    @property
    def is_tests(self) -> bool:
        """Whether the repository holds tests of the others, by its name."""
        return re.fullmatch(r"(?:.+[-_.])?(?:tests?|e2e|acceptance)", self.name) is not None


def count_languages(files: Iterable[TreeFile]) -> tuple[tuple[str, int], ...]:
    """Languages with their number of files, the most frequent first."""
    found = Counter(
        language
        for one in files
        if (language := LANGUAGES.get(PurePosixPath(one.path).suffix.lower())) is not None
    )
    return tuple(found.most_common(6))


def count_folders(files: Iterable[TreeFile]) -> tuple[tuple[str, int], ...]:
    """Folders of one and two levels with their number of files, sorted by path."""
    found: Counter[str] = Counter()
    for one in files:
        parts = one.path.split("/")[:-1]
        for depth in (1, 2):
            if len(parts) >= depth:
                found["/".join(parts[:depth]) + "/"] += 1
    largest = {name for name, _ in found.most_common(24)}
    return tuple((name, count) for name, count in sorted(found.items()) if name in largest)


def find_contracts(files: Iterable[TreeFile]) -> tuple[str, ...]:
    """Paths of protos and OpenAPI documents."""
    return tuple(
        one.path
        for one in files
        if one.path.endswith(".proto") or _SPEC.fullmatch(PurePosixPath(one.path).name)
    )


def read_owners(text: str) -> tuple[str, ...]:
    """The rules of a CODEOWNERS file, comments left out."""
    lines = (" ".join(line.partition("#")[0].split()) for line in text.splitlines())
    return tuple(line for line in lines if line)


def read_packages(path: str, text: str) -> tuple[str, ...]:
    """The names that a manifest, or a proto, publishes. What cannot be read publishes nothing."""
    name = PurePosixPath(path).name
    found: list[str | None] = []
    try:
        if name == "package.json":
            value = json.loads(text)
            found = [value.get("name")] if isinstance(value, dict) else []
        elif name in ("pyproject.toml", "Cargo.toml"):
            table = tomllib.loads(text)
            found = [(table.get(key) or {}).get("name") for key in ("project", "package")]
        elif name == "go.mod":
            found = re.findall(r"^module\s+(\S+)", text, re.MULTILINE)
        elif name == "pom.xml":
            body = re.sub(r"<parent>.*?</parent>", "", text, flags=re.DOTALL)
            found = re.findall(r"<artifactId>\s*([\w.-]+)\s*</artifactId>", body)[:1]
        elif name == "buf.yaml":
            found = re.findall(r"^name:\s*(\S+)", text, re.MULTILINE)
        elif name.endswith(".proto"):
            found = _PROTO_PACKAGE.findall(text)
    except (ValueError, AttributeError, RecursionError):
        return ()
    return tuple(dict.fromkeys(one for one in found if isinstance(one, str) and one))


def find_copies(own: Sequence[TreeFile], others: Sequence[TreeFile]) -> tuple[str, ...]:
    """Paths of ``own`` whose exact content is also in ``others``, without licences and the like."""
    theirs = {one.blob for one in others if one.size >= SMALLEST}
    return tuple(
        one.path
        for one in own
        if one.blob in theirs
        and PurePosixPath(one.path).stem.lower() not in COMMON
        and not PurePosixPath(one.path).name.startswith(".")
    )


def code_flows(facts: Mapping[str, RepoFacts], upstream: str, dependent: str) -> bool:
    """Whether the map shows that ``dependent`` uses something of ``upstream`` (repositories)."""
    if upstream == dependent:
        return True
    uses = facts[dependent].uses if dependent in facts else None
    return upstream in (uses or {})


def render_map(facts: Mapping[str, RepoFacts]) -> str:
    """The map as Markdown, a section for each repository."""
    return "\n\n".join(_render_repo(one, facts) for one in facts.values())


def _render_repo(one: RepoFacts, facts: Mapping[str, RepoFacts]) -> str:
    used_by = sorted(name for name, other in facts.items() if one.name in (other.uses or {}))
    rows = [
        ("files by language", [f"{name} ({count})" for name, count in one.languages]),
        ("folders", [f"`{name}` ({count})" for name, count in one.folders]),
        ("owners", [f"`{rule}`" for rule in one.owners]),
        ("checks of every cell, by the settings" if one.has_checks else "checks that would fit",
         [f"`{check}`" for check in one.checks]),
        ("contracts", [f"`{path}`" for path in one.contracts]),
        ("packages that it publishes", [f"`{name}`" for name in one.packages]),
        ("uses", [f"`{name}` ({why})" for name, why in (one.uses or {}).items()]),
        ("is used by", [f"`{name}`" for name in used_by]),
    ]  # fmt: skip
    lines = [f"### `{one.name}`", f"- commit `{one.head[:12]}` of `{one.base or 'HEAD'}`"]
    for label, items in rows:
        if items:
            more = f", and {len(items) - MOST} more" if len(items) > MOST else ""
            lines.append(f"- {label}: {', '.join(items[:MOST])}{more}")
    return "\n".join(lines)
