"""The result files of a cell's phases: what each holds, how it is read and written.

A file is written by its own phase only, by rename, and only when its content changes. Files that
are a `file_dep` hold nothing but what the next phase depends on; times, pids and costs are in the
journal (docs/design/cells.md).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from orchestr.codec import (
    Record,
    read_json_record,
    read_toml_record,
    replace,
    write_json_record,
    write_toml_record,
)
from orchestr.files import read_file, read_record, write_if_changed
from orchestr.state.seals import read_sealed, write_sealed

NO_PR = "none"
PRODUCT = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})( [0-9a-f]+)?")  # what `tree` holds

MARKER = "worktree.toml"
TRANSCRIPT = "transcript.jsonl"
PLAN = "plan.toml"
PLAN_TEXT = "plan.md"
IMPLEMENT = "implement.toml"
CHECKS = "checks.json"
REVIEW = "review.json"
HEAD = "head.toml"
TREE = "tree"
OWN = "phases"  # a folder: the results of phases of one's own
BESIDE_PLAN = "beside-plan.json"
PR_URL = "pr-url"
SEALED = (IMPLEMENT, CHECKS, REVIEW, HEAD)  # see `orchestr.state.seals`
PUBLISHED = "publish.toml"  # what `pr-url` was made from; `pr-url` itself is the address alone


def digest(*parts: Any) -> str:
    """A short stable digest of JSON-able values."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class ImplementOutcome(StrEnum):
    """How `implement` ended well."""

    CHANGED = "changed"
    NO_CHANGE_NEEDED = "no_change_needed"
    PUSHED_BY_HAND = "by_hand"  # an `action: push` cell: a person wrote the commits
    ADOPTED = "adopted"  # made from a pull request that was there already


class WorktreeMarker(Record, frozen=True):
    """`worktree.toml`: what a cell's worktree was made from. It outlives the worktree.

    ``base`` is a commit, ``base_ref`` the branch that the pull request is for, ``upstreams``
    maps every direct upstream to what its `tree` file said. ``phase`` is the digest of the
    worktree phase and does not count for the next one.
    """

    branch: str
    base: str
    base_ref: str
    upstreams: Mapping[str, str]
    phase: str

    def content_digest(self) -> str:
        """The digest of what `implement` depends on."""
        return digest(self.branch, self.base, dict(self.upstreams))

    def with_base(self, base: str) -> WorktreeMarker:
        """The same with another base."""
        return replace(self, base=base)

    def write(self, folder: Path) -> None:
        write_toml_record(folder / MARKER, self)

    @classmethod
    def read(cls, folder: Path) -> WorktreeMarker | None:
        return read_toml_record(folder / MARKER, cls)


class PlanRecord(Record, frozen=True):
    """`plan.toml`: what `plan.md` was made for. ``digest`` is what a person approves, with the
    todo; empty where nothing has to be approved. ``answers`` is the refusal that it was made
    again for."""

    key: str
    digest: str
    plan: int = 0  # its number, from 1
    answers: str = ""

    def write(self, folder: Path) -> None:
        write_toml_record(folder / PLAN, self)

    @classmethod
    def read(cls, folder: Path) -> PlanRecord | None:
        return read_toml_record(folder / PLAN, cls)


class ImplementRecord(Record, frozen=True):
    """`implement.toml`: the head that the host has proved, and the key it was made for."""

    key: str
    head: str
    tree: str
    base: str
    outcome: ImplementOutcome
    attempt: int = 0
    reason: str = ""  # of `no_change_needed`
    anchor: str = ""  # set after a fresh start that left the old head behind, see `HeadRecord`
    first: str | None = None  # the author's own head, where phases of one's own came after it
    lands: str | None = None  # the published head to which it brings its target, and nothing else

    @property
    def origin(self) -> str:
        """The head that repairs count from: phases of one's own that follow do not change it."""
        return self.first or self.head

    def write(self, folder: Path) -> None:
        write_sealed(folder, IMPLEMENT, self)

    @classmethod
    def read(cls, folder: Path) -> ImplementRecord | None:
        return read_sealed(folder, IMPLEMENT, cls)


class OwnOutcome(StrEnum):
    """How a phase of one's own ended well."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    ANSWERED = "answered"  # it gave out JSON
    SKIPPED = "skipped"  # its `when:` is false, or the result is not ours to change


class OwnResult(Record, frozen=True):
    """`phases/NAME.toml`: what a phase of one's own made, and of what.

    ``before`` is what it was given: the tree of the result, or (``of`` a phase that stands
    elsewhere) a digest. ``tree`` and ``head`` are what it left of the result; ``output`` is the
    digest of the JSON that it gave out, which lies in `phases/NAME.json`.
    """

    key: str
    before: str
    outcome: OwnOutcome
    tree: str = ""
    head: str = ""
    attempt: int = 0
    output: str = ""
    reason: str = ""

    def write(self, folder: Path, name: str) -> None:
        (folder / OWN).mkdir(exist_ok=True)
        write_sealed(folder, own_result_name(name), self)

    @classmethod
    def read(cls, folder: Path, name: str) -> OwnResult | None:
        return read_sealed(folder, own_result_name(name), cls)


def own_result_name(phase: str) -> str:
    """Where the result of a phase of one's own lies in its cell's folder."""
    return f"{OWN}/{phase}.toml"


def own_output_name(phase: str) -> str:
    """Where the JSON lies that a phase of one's own gave out."""
    return f"{OWN}/{phase}.json"


class Evidence(Record, frozen=True):
    """`checks.json` and `review.json`: verdicts on exactly one head. Others are void.

    ``origin`` is the head that the phase was given, ``head`` the one that repairs made of it.
    ``checks`` are the results on ``head`` where a review's repairs made the phase before void.
    ``partial``: something stayed red, and the spec allows that.
    """

    head: str
    key: str
    items: tuple[Any, ...]  # tables; anything else in the file is passed over by its readers
    origin: str = ""
    partial: bool = False
    checks: tuple[Any, ...] | None = None

    def write(self, path: Path) -> None:
        write_sealed(path.parent, path.name, self._with_origin())

    @classmethod
    def read(cls, path: Path) -> Evidence | None:
        found = read_sealed(path.parent, path.name, cls)
        return None if found is None else found._with_origin()

    def _with_origin(self) -> Evidence:
        return self if self.origin else replace(self, origin=self.head)


class PlanDeviation(Record, frozen=True):
    """`beside-plan.json`: what a head changes that the approved plan does not name.

    ``plan_names_files`` is False for a plan that names no file at all. ``explanation`` is the
    author's last message.
    """

    head: str
    files: tuple[str, ...]
    plan_names_files: bool = True
    explanation: str = ""

    @property
    def is_one(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.files) or not self.plan_names_files

    def write(self, folder: Path) -> None:
        write_json_record(folder / BESIDE_PLAN, self)

    @classmethod
    def read(cls, folder: Path) -> PlanDeviation | None:
        return read_json_record(folder / BESIDE_PLAN, cls)


def valid_checks(checks: Evidence | None, review: Evidence | None) -> tuple[Mapping[str, Any], ...]:
    """The results that count: a repair in the review made those of before void."""
    if review is not None and review.checks is not None:
        return review.checks
    return checks.items if checks is not None else ()


def check_word(row: Mapping[str, Any]) -> str:
    """What a result came to, in a word or two: `passed`, `RED`, or `not evaluated`."""
    if row.get("passed") is True:
        return "passed"
    return "not evaluated" if row.get("unavailable") is True else "RED"


class HeadRecord(Record, frozen=True):
    """`head.toml`: the commit that all phases agreed on. `tree` beside it is the product.

    ``anchor`` is the first head after a fresh start that does not contain the old one: `tree`
    names it too, so that dependents rerun even when the tree is the old one: what they were built
    on is gone from the branch. It stays the same as the head grows, so that equal trees stay equal
    products. ``stands_for`` are products before it that lacked only what its target had by then:
    what was built on one of them is checked on top of this one as it lands, and needs no agent
    again.
    """

    head: str
    tree: str
    base: str
    branch: str
    outcome: ImplementOutcome
    anchor: str = ""
    stands_for: tuple[str, ...] | None = None

    @property
    def product_line(self) -> str:
        """What `tree` says of it."""
        return f"{self.tree} {self.anchor}" if self.anchor else self.tree

    def with_former_products(self, old: HeadRecord | None, lands: str | None) -> HeadRecord:
        """This head with the products that it stands for, after ``old``; ``lands``: see
        `ImplementRecord`."""
        if old is None:
            return self
        if old.product_line == self.product_line:
            return replace(self, stands_for=old.stands_for)
        if lands is None or lands != old.head:
            return self
        former = dict.fromkeys((*(old.stands_for or ()), old.product_line))
        return replace(self, stands_for=tuple(former))

    def write(self, folder: Path) -> None:
        write_sealed(folder, HEAD, self)
        write_if_changed(folder / TREE, f"{self.product_line}\n".encode())

    @classmethod
    def read(cls, folder: Path) -> HeadRecord | None:
        return read_sealed(folder, HEAD, cls)


class PublishRecord(Record, frozen=True):
    """`publish.toml`: which head stands at the forge under which pull request."""

    key: str
    head: str
    url: str
    title: str = ""  # the one that we gave it, to know a person's from ours
    branch: str | None = None  # of its pull request, once the branch has another name
    dressed: tuple[str, ...] | None = None  # what was added to it once: `label sdk`, `ready`
    base: str = ""  # the branch that we put it onto, to know a person's choice; "": not known

    def write(self, folder: Path) -> None:
        """Write the record, then the address: a kill between them only publishes again."""
        write_toml_record(folder / PUBLISHED, self)
        write_if_changed(folder / PR_URL, f"{self.url}\n".encode())

    @classmethod
    def read(cls, folder: Path) -> PublishRecord | None:
        return read_toml_record(folder / PUBLISHED, cls)


def read_tree(folder: Path) -> str | None:
    """The product in `tree`, None when there is none. A file that holds anything else is set
    aside: `review` writes it again, and no dependent is built on it."""
    return read_record(folder / TREE, _read_ascii_line, _parse_product)


def read_url(folder: Path) -> str | None:
    """The address in `pr-url`, None when there is none; anything else is set aside like in
    `tree`."""
    return read_record(folder / PR_URL, _read_ascii_line, _parse_address)


def _read_ascii_line(path: Path) -> str | None:
    try:
        return read_file(path).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None


def _parse_product(line: str) -> str:
    if not PRODUCT.fullmatch(line):
        raise ValueError("it holds no tree")
    return line


def _parse_address(line: str) -> str:
    if line != NO_PR and "://" not in line:
        raise ValueError("it holds no address")
    return line


def read_line(path: Path) -> str | None:
    """The one line of `tree` or `pr-url`, None when the file is missing or empty."""
    try:
        return read_file(path).decode("utf-8").strip() or None
    except (FileNotFoundError, UnicodeDecodeError):
        return None
