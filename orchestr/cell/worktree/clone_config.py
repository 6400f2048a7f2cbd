"""Files around a worktree after an agent: whose change each one is, and what is put back.

They are those of the clone (`clone_files`: config, hooks, attributes, where worktrees lead) and the
user's own config of git (`user_guard`). Honest tools write them (`npm install` sets husky's hooks
path), so what is put back is a warning and no failure of the author; the changed file is kept
beside the attempt. What the agent's own git wrote is put back. Of what git's record does not show,
a setting that makes git run a program, reach another server or answer otherwise is put back, too,
and so is any other file, unless no agent wrote at that moment: then a person did, and it stays.

A change of an agent that is still at work is put back as well: our git works in the clone for
others meanwhile, and would run in its name what was planted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Any

from orchestr.cell.worktree.clone_files import CONFIGS, is_known_to_git, owner_of
from orchestr.cell.worktree.file_picture import (
    LINK,
    Entry,
    Files,
    entry_content,
    is_plain,
    keep_entry,
    remove_file,
    write_entry,
)
from orchestr.files import write_atomic
from orchestr.git.repo import Repo
from orchestr.git.runner import ANY_EXIT, split_records
from orchestr.git.trace import GitCommand, changed_setting

# Settings by which git runs programs, reaches servers, answers otherwise or becomes unusable.
RISKY = re.compile(
    r"core\.(hookspath|fsmonitor|sshcommand|gitproxy|editor|pager|askpass|attributesfile|worktree"
    r"|bare|repositoryformatversion|alternaterefscommand|autocrlf|eol|excludesfile|filemode"
    r"|ignorecase|ignorestat|safecrlf|symlinks)|credential\..*|filter\..*|lfs\..*"
    r"|diff\.(external|.*\.(command|textconv))|merge\..*|url\..*|include(if)?\..*"
    r"|remote\..*|gpg\..*|extensions\..*|http\..*|protocol\..*|uploadpack\..*|receive\..*"
    r"|sequence\.editor|hook\..*|submodule\..*|trace2\..*|safe\..*|(transfer|fetch)\..*"
)
# What `git submodule init` and `git lfs install --local` add, as name and value.
BEGUN = re.compile(
    r"submodule\..*\.(active=true|url=.*)|lfs\.repositoryformatversion=0"
    r"|filter\.lfs\.(required=true|process=git-lfs filter-process( --skip)?"
    r"|(clean|smudge)=git-lfs (clean|smudge)( --skip)? -- %f)"
)


class Author(Enum):
    """Who made a change, as far as it can be shown."""

    AGENT = auto()
    OTHER_AGENT = auto()  # of a cell that is still at work: its own end judges it
    PERSON = auto()


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file by its name in the picture: as the picture has it, and as it is now."""

    name: str
    place: Path
    old: Entry | None
    new: Entry | None


@dataclass(slots=True)
class FileChanges:
    """``restored`` is put back by `put_back`, ``personal`` stays: sentences for warnings."""

    restored: list[str] = field(default_factory=list)
    personal: list[str] = field(default_factory=list)
    removals: list[Callable[[], object]] = field(default_factory=list)
    steps: list[Callable[[], object]] = field(default_factory=list)

    def put_back(self) -> None:
        """Do what `compare_files` has found: afterwards nothing shows any more what there was.

        What is in the way goes first: a link in place of a folder leads elsewhere.
        """
        for step in (*self.removals, *self.steps):
            step()


@dataclass(frozen=True, slots=True)
class FileJudge:
    """What is known of the agent, and of the others that are at work in the clone.

    ``may_have_written`` answers for the agent and a file: False when it wrote nothing at the time
    when the file was changed. Changed files are kept in ``kept``. ``is_setup``: it is no agent, but
    a set-up, which may begin what a worktree needs.
    """

    commands: Sequence[GitCommand]
    theirs: Sequence[GitCommand]
    may_have_written: Callable[[Path, bytes | None], bool]
    others_may_have_written: Callable[[Path, bytes | None], bool]
    kept: Path
    during: str
    is_setup: bool = False

    def place_of_copy(self, name: str) -> Path:
        """Where the changed file ``name`` is kept."""
        return self.kept / name.lstrip("/")

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


def compare_clone_files(
    common: Path, before: Files, now: Files, judge: FileJudge, scope: Callable[[str], bool]
) -> FileChanges:
    """Compare the files of a clone with its picture; ``scope``: which names it covers."""
    pictured, there = ({owner_of(name) for name in files} for files in (before, now))
    places = {}
    for name in sorted({*before, *now}):
        owner = owner_of(name)
        # A worktree or submodule that was made or removed meanwhile is another's work.
        is_strange = owner and (owner not in pictured or owner not in there)
        is_added = name not in before and not is_known_to_git(name)
        # A shallow clone is deepened by fetches; a whole one does not become shallow.
        is_deepened = name.rpartition("/")[2] == "shallow" and name in before
        if scope(name) and not (is_strange or is_added or is_deepened):
            places[name] = common / name
    return compare_files(places, before, now, judge)


def compare_files(
    places: Mapping[str, Path],
    before: Files,
    now: Files,
    judge: FileJudge,
    configs: Iterable[str] = CONFIGS,
) -> FileChanges:
    """Compare files with the picture. Changes nothing before `FileChanges.put_back`.

    ``configs`` are names of config files, of which each setting is looked at.
    """
    found, settings = FileChanges(), set(configs)
    for name, place in places.items():
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        file = ChangedFile(name, place, old, new)
        is_config = name in settings or name.rpartition("/")[2] in settings
        if is_config and is_plain(old) and is_plain(new):
            _compare_config(file, judge, found)
        else:
            _compare_file(file, judge, found)
    return found


def _compare_file(file: ChangedFile, judge: FileJudge, found: FileChanges) -> None:
    what = f"the hook {file.place}" if file.name.startswith("hooks/") else str(file.place)
    is_link = file.new is not None and file.new[0] == LINK  # made without a write that is counted
    if not is_link and judge.author_of(file.place, entry_content(file.old)) is Author.PERSON:
        found.personal.append(
            f"while {judge.during}, {what} was changed, and not by its agent; it stays as it is"
        )
        return
    kept = _plan_restore(file, judge, found)
    found.restored.append(
        f"while {judge.during}, {what} was changed; it was put back"
        + (f", the changed one is kept as {kept}" if file.new else "")
    )


def _plan_restore(file: ChangedFile, judge: FileJudge, found: FileChanges) -> Path:
    """The steps that keep the changed file and put the former one back; the place of the copy."""
    kept = judge.place_of_copy(file.name)
    if file.new is not None:
        found.removals.append(partial(keep_entry, file.place, kept))
    if file.old is None:
        found.removals.append(partial(remove_file, file.place))
    else:
        found.steps.append(partial(write_entry, file.place, file.old))
    return kept


def _compare_config(file: ChangedFile, judge: FileJudge, found: FileChanges) -> None:
    place = file.place
    was, now = entry_content(file.old) or b"", entry_content(file.new) or b""
    if was == now:
        return  # another mode alone
    before, after = _parse_settings(was), _parse_settings(now)
    if before is None or after is None:
        kept = _plan_restore(file, judge, found)
        _report_config(place, "it can no longer be read", kept, judge, found)
        return
    remotes = {key.rpartition(".")[0] for key in before if key.startswith("remote.")}
    differ = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    begun = [key for key in differ if judge.is_setup and _is_begun(key, before, after)]
    differ = [key for key in differ if key not in begun]
    authors = {key: judge.author_of_setting(key, place, was) for key in differ}
    mine = [key for key in differ if authors[key] is not Author.PERSON]
    reported = [key for key in differ if not _is_daily_work(key, remotes)]
    personal = [key for key in reported if authors[key] is Author.PERSON]
    harmful = [key for key in reported if authors[key] is not Author.PERSON]
    if personal:
        found.personal.append(
            f"while {judge.during}, {place} was changed ({', '.join(personal[:5])}), and not "
            f"by its agent; that stays as it is"
        )
    if not harmful:
        return
    if mine == differ and not begun:
        kept = _plan_restore(file, judge, found)
    else:
        kept = judge.place_of_copy(file.name)
        found.steps.append(partial(write_atomic, kept, now))
        for key in mine:
            values = before.get(key, [])
            found.steps.append(partial(_restore_setting, place, key, values, key in after))
    _report_config(place, ", ".join(harmful[:5]), kept, judge, found)


def _report_config(
    place: Path, what: str, kept: Path, judge: FileJudge, found: FileChanges
) -> None:
    found.restored.append(
        f"while {judge.during}, {place} was changed ({what});"
        f" it was put back, the changed one is kept as {kept}"
    )


def _is_begun(key: str, before: Mapping[str, Any], after: Mapping[str, list[str]]) -> bool:
    """Whether a setting is new, and of `git submodule init` or `git lfs install`: without it the
    worktree would be another after the set-up than during it."""
    return key not in before and all(BEGUN.fullmatch(f"{key}={value}") for value in after[key])


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


def _parse_settings(data: bytes) -> Mapping[str, list[str]] | None:
    words = ("config", "-z", "--list", "--no-includes", "--file", "-")
    # Not in the clone: its config may be what cannot be read.
    done = Repo(Path("/")).run_git(*words, input=data, answers=ANY_EXIT)
    if done.code != 0:
        return None
    found: dict[str, list[str]] = {}
    for record in split_records(done.out):
        key, _, value = record.partition("\n")
        found.setdefault(key, []).append(value)
    return found
