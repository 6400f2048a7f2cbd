"""Config and hooks of a clone after an agent: whose change each one is, and what is put back.

Honest tools write both (`npm install` sets husky's hooks path), so what is put back is a warning
and no failure of the author; the changed file is kept beside the attempt. What the agent's own git
wrote is put back. Of what git's record does not show, a setting that makes git run a program or
reach another server is put back, too, and so is a hook, unless the agent wrote nothing at that
moment: then a person did, and it stays. A change of another agent that is still at work is left.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from pathlib import Path

from orchestr.cell.worktree.clone_snapshot import CloneSnapshot, read_config_and_hooks
from orchestr.files import write_atomic
from orchestr.git.repo import Repo
from orchestr.git.runner import ANY_EXIT, split_records
from orchestr.git.trace import GitCommand, changed_setting

# Settings by which git runs programs, reaches servers or becomes unusable.
RISKY = re.compile(
    r"core\.(hookspath|fsmonitor|sshcommand|gitproxy|editor|pager|askpass|attributesfile|worktree"
    r"|bare|repositoryformatversion|alternaterefscommand)|credential\..*|filter\..*"
    r"|diff\.(external|.*\.(command|textconv))|merge\..*\.driver|url\..*|include(if)?\..*"
    r"|remote\..*|gpg\..*|extensions\..*|http\..*|protocol\..*|uploadpack\..*|receive\..*"
    r"|sequence\.editor|hook\..*"
)


class Author(Enum):
    """Who made a change, as far as it can be shown."""

    AGENT = auto()
    OTHER_AGENT = auto()  # of a cell that is still at work: its own end judges it
    PERSON = auto()


@dataclass(slots=True)
class FileChanges:
    """``restored`` is put back by `put_back`, ``personal`` stays: sentences for warnings.
    ``left``: whether there are changes of other agents."""

    restored: list[str] = field(default_factory=list)
    personal: list[str] = field(default_factory=list)
    left: bool = False
    steps: list[Callable[[], object]] = field(default_factory=list)

    def put_back(self) -> None:
        """Do what `compare_files` has found: afterwards nothing shows any more what there was."""
        for step in self.steps:
            step()


@dataclass(frozen=True, slots=True)
class FileJudge:
    """What is known of the agent, and of the others that are at work in the clone.

    ``may_have_written`` answers for the agent and a file: False when it wrote nothing at the time
    when the file was changed. Changed files are kept in ``kept``.
    """

    commands: Sequence[GitCommand]
    theirs: Sequence[GitCommand]
    may_have_written: Callable[[Path, bytes | None], bool]
    others_may_have_written: Callable[[Path, bytes | None], bool]
    kept: Path
    during: str

    def author_of(self, path: Path, old: bytes | None) -> Author:
        """Who changed a file that git does not write; ``old`` is what was in it."""
        if self.may_have_written(path, old):
            return Author.AGENT
        return Author.OTHER_AGENT if self.others_may_have_written(path, old) else Author.PERSON

    def author_of_setting(self, key: str, path: Path, old: bytes) -> Author:
        """Who changed a setting of the config ``path``."""
        if changed_setting(key.lower(), self.commands):
            return Author.AGENT
        if changed_setting(key.lower(), self.theirs):
            return Author.OTHER_AGENT
        return self.author_of(path, old) if RISKY.fullmatch(key.lower()) else Author.PERSON


def compare_files(common: Path, before: CloneSnapshot, judge: FileJudge) -> FileChanges:
    """Compare config and hooks with the picture. Changes nothing before `FileChanges.put_back`."""
    config, hooks = read_config_and_hooks(common)
    found = FileChanges()
    _compare_config(common / "config", before.config, config, judge, found)
    for name in sorted({*before.hooks, *hooks}):
        old, new = before.hooks.get(name), hooks.get(name)
        if old == new:
            continue
        place = common / "hooks" / name
        author = judge.author_of(place, base64.b64decode(old[1]) if old else None)
        if author is Author.OTHER_AGENT:
            found.left = True
            continue
        if author is Author.PERSON:
            found.personal.append(
                f"while {judge.during}, the hook {place} was changed, and not by its agent; "
                f"it stays as it is"
            )
            continue
        if new is not None:
            kept, changed = judge.kept / "hooks" / name, base64.b64decode(new[1])
            found.steps.append(partial(write_atomic, kept, changed))
        if old is None:
            found.steps.append(partial(place.unlink, missing_ok=True))
        else:
            found.steps.append(partial(write_file, place, base64.b64decode(old[1]), old[0]))
        found.restored.append(
            f"while {judge.during}, the hook {place} was changed; it was put back"
            + (f", the changed one is kept as {judge.kept / 'hooks' / name}" if new else "")
        )
    return found


def _compare_config(
    place: Path, before: str, now: str, judge: FileJudge, found: FileChanges
) -> None:
    if before == now:
        return
    old, new = (_parse_settings(base64.b64decode(text)) for text in (before, now))
    if new is None or old is None:
        _put_config_back(place, before, now, "it can no longer be read", judge, found)
        return
    remotes = {key.rpartition(".")[0] for key in old if key.startswith("remote.")}
    differ = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    was = base64.b64decode(before)
    authors = {key: judge.author_of_setting(key, place, was) for key in differ}
    mine = [key for key in differ if authors[key] is Author.AGENT]
    told = [key for key in mine if not _is_daily_work(key, remotes)]
    personal = [
        key for key in differ
        if authors[key] is Author.PERSON and not _is_daily_work(key, remotes)
    ]  # fmt: skip
    found.left = found.left or Author.OTHER_AGENT in authors.values()
    if personal:
        found.personal.append(
            f"while {judge.during}, {place} was changed ({', '.join(personal[:5])}), and not "
            f"by its agent; that stays as it is"
        )
    if not told:
        return
    if mine == differ:
        _put_config_back(place, before, now, ", ".join(told[:5]), judge, found)
        return
    found.steps.append(partial(write_atomic, judge.kept / "config", base64.b64decode(now)))
    for key in mine:
        found.steps.append(partial(_restore_setting, place, key, old.get(key, []), key in new))
    _report_config(place, ", ".join(told[:5]), judge, found)


def _put_config_back(
    place: Path, before: str, now: str, what: str, judge: FileJudge, found: FileChanges
) -> None:
    """The whole file, byte by byte."""
    found.steps.append(partial(write_atomic, judge.kept / "config", base64.b64decode(now)))
    found.steps.append(partial(write_file, place, base64.b64decode(before), None))
    _report_config(place, what, judge, found)


def _report_config(place: Path, what: str, judge: FileJudge, found: FileChanges) -> None:
    found.restored.append(
        f"while {judge.during}, {place} was changed ({what});"
        f" it was put back, the changed one is kept as {judge.kept / 'config'}"
    )


def _is_daily_work(key: str, remotes: set[str]) -> bool:
    """`branch.*` and a new remote change nothing for anybody else."""
    if key.startswith("branch."):
        return True
    return key.startswith("remote.") and key.rpartition(".")[0] not in remotes


def _restore_setting(place: Path, key: str, values: Sequence[str], there: bool) -> None:
    """Give one setting its old values again, and leave the rest of the file alone."""
    repo = Repo(Path("/"))
    if there:
        repo.run_git("config", "--file", str(place), "--unset-all", key, answers=ANY_EXIT)
    for value in values:
        repo.run_git("config", "--file", str(place), "--add", key, value, answers=ANY_EXIT)


def write_file(path: Path, data: bytes, mode: int | None) -> None:
    """Write a file with its mode; None: the one that it has."""
    if mode is None:
        with suppress(OSError):
            mode = path.stat().st_mode & 0o777
    write_atomic(path, data)
    path.chmod(0o644 if mode is None else mode)


def _parse_settings(data: bytes) -> Mapping[str, list[str]] | None:
    words = ("config", "-z", "--list", "--no-includes", "--file", "-")
    done = Repo(Path("/")).run_git(
        *words, input=data, answers=ANY_EXIT
    )  # not where it may be broken
    if done.code != 0:
        return None
    found: dict[str, list[str]] = {}
    for record in split_records(done.out):
        key, _, value = record.partition("\n")
        found.setdefault(key, []).append(value)
    return found
