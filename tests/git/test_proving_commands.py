"""Each hostile setting of a clone against each command whose answer is evidence.

The answers must be those of an untouched clone. What a person may rightly say of a worktree's
content (`info/exclude`, filters) is not here: that is compared with the picture of the clone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestr.cell.ownership import PathClaims
from orchestr.cell.proof.verify_commits import prove_head
from orchestr.checks.weakened_tests import find_weakened_tests
from orchestr.git.attributes import use_attributes_of
from orchestr.git.diff import DiffLimits, read_diffs
from orchestr.git.filter_history import (
    find_blob_paths,
    find_path_commits,
    list_tree_paths,
    read_entries,
)
from orchestr.git.index_entries import IndexScan, scan_index
from orchestr.git.merge import find_conflict_markers, merge_heads
from orchestr.git.mixed_tree import list_differences, take_paths
from orchestr.git.repo import CommitId, Repo
from orchestr.git.snapshot import take_snapshot
from orchestr.git.stated import NotDeclared
from orchestr.git.status import read_changes
from orchestr.git.unified_diff import DIFF_OPTIONS
from tests.conftest import git, write

TEST = "def test_a() -> None:\n    assert 1\n\n\ndef test_b() -> None:\n    assert 2\n"
MARKERS = "<<<<<<< ours\none\n=======\ntwo\n>>>>>>> theirs\n"
LONG = "".join(f"line {number}\n" for number in range(40))


@dataclass(frozen=True)
class Clone:
    """A clone with a linked worktree at ``tree``, and the ids of its commits."""

    path: Path
    tree: Path

    @property
    def repo(self) -> Repo:
        return Repo(self.path)

    def id(self, name: str) -> CommitId:
        """The commit of a branch, read from its file: no setting counts."""
        return CommitId((self.path / ".git/refs/heads" / name).read_text().strip())

    def config(self, *pairs: tuple[str, str]) -> None:
        for key, value in pairs:
            git(self.path, "config", key, value)

    def write(self, name: str, text: str) -> None:
        """Write a file below `.git`."""
        place = self.path / ".git" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def make_template(folder: Path) -> None:
    """main, a branch with a change that hides what it can, one that conflicts, a dirty tree."""
    clone = folder / "clone"
    clone.mkdir()
    git(clone, "init", "--quiet", "--initial-branch=main")
    write(clone, {"a.txt": LONG, "tests/test_a.py": TEST, "run.sh": "#!/bin/sh\n",
                  "move.txt": LONG + "m\n", "x.bin": b"\0\1\2"})  # fmt: skip
    git(clone, "add", "-A")
    git(clone, "commit", "--quiet", "-m", "base")
    git(clone, "switch", "--quiet", "-c", "side")
    write(clone, {"a.txt": LONG.replace("line 7\n", "line seven\n")})
    git(clone, "commit", "--quiet", "-am", "side")
    git(clone, "switch", "--quiet", "-c", "change", "main")
    write(clone, {"private.env": "KEY=1\n"})
    git(clone, "add", "-A")
    git(clone, "commit", "--quiet", "-m", "private")
    (clone / "private.env").unlink()
    write(clone, {".gitattributes": "*.txt binary\ntests/** -diff\na.txt merge=union\n",
                  "a.txt": LONG.replace("line 7\n", MARKERS), "outside/evil.txt": "evil\n",
                  "tests/test_a.py": TEST.partition("\n\n\n")[0] + "\n"})  # fmt: skip
    git(clone, "mv", "move.txt", "moved.txt")
    git(clone, "add", "-A")
    git(clone, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    git(clone, "commit", "--quiet", "-m", "change")
    git(clone, "switch", "--quiet", "main")
    git(clone, "worktree", "add", "--quiet", str(folder / "tree"), "-b", "work", "main")


def copy_clone(template: Path, folder: Path) -> Clone:
    shutil.copytree(template, folder, symlinks=True)
    clone = Clone(folder / "clone", folder / "tree")
    (clone.tree / ".git").write_text(f"gitdir: {clone.path}/.git/worktrees/tree\n")
    clone.write("worktrees/tree/gitdir", f"{clone.tree}/.git\n")
    git(clone.tree, "update-index", "-q", "--refresh")
    return clone


def make_dirty(clone: Clone) -> None:
    """What `git status` has to show: a change, another mode, a new file, one of another case."""
    write(clone.tree, {"a.txt": "changed\n", "new/file.txt": "new\n", "RUN.SH": "other\n"})
    (clone.tree / "run.sh").chmod(0o755)


# --- the settings: each is something that an agent can write --------------------------------


def setting(*pairs: tuple[str, str]) -> Callable[[Clone], None]:
    return lambda clone: clone.config(*pairs)


def attributes(text: str, *pairs: tuple[str, str]) -> Callable[[Clone], None]:
    def write_them(clone: Clone) -> None:
        clone.write("info/attributes", text)
        clone.config(*pairs)

    return write_them


def replace_change(clone: Clone) -> None:
    git(clone.path, "replace", "change", "main")


def replace_blob(clone: Clone) -> None:
    git(clone.path, "replace", "change:a.txt", "main:a.txt")
    git(clone.path, "replace", "change:tests/test_a.py", "main:tests/test_a.py")


def graft(clone: Clone) -> None:
    clone.write("info/grafts", f"{clone.id('change')} {clone.id('main')}\n{clone.id('side')}\n")


def cone(clone: Clone) -> None:
    clone.config(("core.sparseCheckout", "true"), ("core.sparseCheckoutCone", "false"))
    for place in ("info/sparse-checkout", "worktrees/tree/info/sparse-checkout"):
        clone.write(place, "/tests/\n")


def worktree_config(clone: Clone) -> None:
    clone.config(("core.repositoryFormatVersion", "1"), ("extensions.worktreeConfig", "true"))
    text = "[core]\n\tfileMode = false\n\tignoreCase = true\n[diff]\n\tnoprefix = true\n"
    for place in ("config.worktree", "worktrees/tree/config.worktree"):
        clone.write(place, f"{text}\trenames = copies\n[status]\n\tshowUntrackedFiles = no\n")


def flags(option: str) -> Callable[[Clone], None]:
    def set_flags(clone: Clone) -> None:
        git(clone.tree, "update-index", option, "a.txt", "run.sh")

    return set_flags


def hooks(clone: Clone) -> None:
    folder = clone.path / ".git/hooks"
    folder.mkdir(exist_ok=True)
    for name in ("reference-transaction", "post-index-change", "post-checkout", "fsmonitor"):
        (folder / name).write_text(f"#!/bin/sh\ntouch {clone.path}/planted\n")
        (folder / name).chmod(0o755)
    clone.config(("core.fsmonitor", str(folder / "fsmonitor")))


def global_attributes(clone: Clone) -> None:
    clone.write("mine", "* -diff merge=union\n")
    clone.config(("core.attributesFile", str(clone.path / ".git/mine")))


def order_file(clone: Clone) -> None:
    clone.write("order", "z*\n")
    clone.config(("diff.orderFile", str(clone.path / ".git/order")))


def hooks_path(clone: Clone) -> None:
    hooks(clone)
    clone.config(("core.hooksPath", str(clone.path / ".git/hooks")))


def ignore_submodules(clone: Clone) -> None:
    clone.config(("diff.ignoreSubmodules", "all"), ("submodule.sub.ignore", "all"),
                 ("submodule.sub.path", "sub"), ("submodule.sub.url", "./sub"))  # fmt: skip


SETTINGS: Mapping[str, Callable[[Clone], None]] = {
    "replaced commit": replace_change,
    "replaced blobs": replace_blob,
    "grafts": graft,
    "attributes -diff": attributes("* -diff\n"),
    "attributes binary": attributes("* binary\n"),
    "attributes merge=ours": attributes("* merge=ours\n", ("merge.ours.driver", "true")),
    "attributes union": attributes("* merge=union\n"),
    "attributes -merge": attributes("* -merge\n"),
    "attributes driver": attributes(
        "* diff=x\n", ("diff.x.command", "true"), ("diff.x.textconv", "true"),
        ("diff.x.binary", "true"), ("diff.x.xfuncname", "^(l).*$")),
    "global attributes": global_attributes,
    "merge.default": setting(("merge.default", "union")),
    "merge.renames": setting(("merge.renames", "false"), ("merge.directoryRenames", "true")),
    "merge.renormalize": setting(("merge.renormalize", "true")),
    "diff.external": setting(("diff.external", "true")),
    "diff.form": setting(
        ("diff.noprefix", "true"), ("diff.mnemonicPrefix", "true"), ("diff.context", "0"),
        ("diff.interHunkContext", "9"), ("diff.statGraphWidth", "2")),
    "diff.renames": setting(("diff.renames", "copies"), ("diff.renameLimit", "1")),
    "diff.relative": setting(("diff.relative", "true")),
    "diff.algorithm": setting(("diff.algorithm", "patience"), ("diff.indentHeuristic", "false")),
    "diff.colour": setting(("color.ui", "always"), ("color.diff", "always")),
    "diff.order": order_file,
    "diff.submodules": ignore_submodules,
    "big files": setting(("core.bigFileThreshold", "1")),
    "log": setting(("log.showSignature", "true"), ("log.follow", "true"), ("log.date", "raw")),
    "core.fileMode": setting(("core.fileMode", "false")),
    "core.ignoreCase": setting(("core.ignoreCase", "true")),
    "core.ignoreStat": setting(("core.ignoreStat", "true")),
    "core.checkStat": setting(("core.checkStat", "minimal"), ("core.trustctime", "false")),
    "core.untrackedCache": setting(("core.untrackedCache", "true")),
    "core.splitIndex": setting(("core.splitIndex", "true")),
    "core.quotePath": setting(("core.quotePath", "false")),
    "sparse": cone,
    "status": setting(
        ("status.showUntrackedFiles", "no"), ("status.branch", "true"), ("status.short", "true"),
        ("status.showStash", "true"), ("status.relativePaths", "false")),
    "config.worktree": worktree_config,
    "skip-worktree": flags("--skip-worktree"),
    "assume-unchanged": flags("--assume-unchanged"),
    "hooks": hooks,
    "hooksPath": hooks_path,
}  # fmt: skip

# What is written into the config of the user instead: it reaches every clone.
FOR_ALL = ("merge.default", "diff.form", "diff.renames", "diff.external", "status", "core.fileMode",
           "core.ignoreCase", "attributes driver")  # fmt: skip


# --- the commands: each answers with something that decides ------------------------------------


def weakened(clone: Clone) -> object:
    with use_attributes_of(clone.repo, None) as view:
        words = ("diff", *DIFF_OPTIONS, clone.id("main"), clone.id("change"), "--")
        return [str(found) for found in find_weakened_tests(view.run_readonly(*words).text)]


def proof(clone: Clone) -> object:
    base, head = clone.id("main"), clone.id("change")
    claims = PathClaims("a", owned=("*.txt", "/tests/"))
    found = prove_head(clone.repo, base=base, start=base, head=head, claims=claims)
    return found.findings, found.changed


COMMANDS: Mapping[str, Callable[[Clone], object]] = {
    "commit proof": proof,
    "conflict markers": lambda c: find_conflict_markers(c.repo, c.id("main"), c.id("change")),
    "weakened tests": weakened,
    "names": lambda c: c.repo.changed_paths(c.id("main"), c.id("change")),
    "differences": lambda c: list_differences(c.repo, c.id("main"), c.id("change")),
    "mixed tree": lambda c: take_paths(c.repo, c.id("main"), c.id("change"), ["a.txt"]),
    "stat": lambda c: c.repo.diff_stat(c.id("main"), c.id("change")),
    "patches": lambda c: read_diffs(c.repo, [(c.id("main"), c.id("change"))], DiffLimits()),
    "ancestry": lambda c: (
        c.repo.is_ancestor(c.id("main"), c.id("change")), c.repo.merge_base("change", "side"),
        c.repo.count_commits(c.id("main"), c.id("change"))),
    "subjects": lambda c: c.repo.list_commit_subjects(c.id("change"), 9),
    "tree": lambda c: c.repo.resolve_tree(c.id("change")),
    "ls-tree": lambda c: (
        read_entries(c.repo, c.id("change"), ["a.txt", "sub", "run.sh"]),
        list_tree_paths(c.repo, c.id("change"), [":(top,glob)**"])),
    "history": lambda c: (
        find_path_commits(c.repo, c.id("main"), c.id("change"), [":(top)private.env"]),
        find_blob_paths(c.repo, c.id("main"), c.id("change"),
                        [c.repo.run_readonly("rev-parse", f"{c.id('change')}^:private.env")
                         .text.strip()])),
    "candidate": lambda c: c.repo.merge_trees(c.id("side"), c.id("change")),
    "clean candidate": lambda c: c.repo.merge_trees(c.id("main"), c.id("side")),
    "heads": lambda c: merge_heads(c.repo, [c.id("side"), c.id("change")]),
    "dirty": lambda c: sorted(Repo(c.tree).dirty_paths()),
    "status": lambda c: sorted(
        (one.path, one.index, one.worktree) for one in read_changes(Repo(c.tree), untracked="all")),
}  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "one"
    folder.mkdir()
    make_template(folder)
    return folder


@pytest.fixture(scope="module")
def answers(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What an untouched clone answers."""
    clone = copy_clone(template, tmp_path_factory.mktemp("clean") / "one")
    make_dirty(clone)
    return {name: command(clone) for name, command in COMMANDS.items()}


@pytest.fixture(scope="module")
def hostile(
    template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Clone]]:
    """The clone with one of the settings, made once."""
    made: dict[str, Clone] = {}

    def make(name: str) -> Clone:
        if name not in made:
            made[name] = copy_clone(template, tmp_path_factory.mktemp("hostile") / "one")
            make_dirty(made[name])
            SETTINGS[name](made[name])
        return made[name]

    yield make


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_of_a_clone_changes_an_answer(
    hostile: Callable[[str], Clone], answers: Mapping[str, Any], name: str, command: str
) -> None:
    clone = hostile(name)
    assert COMMANDS[command](clone) == answers[command]
    assert not (clone.path / "planted").exists()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", FOR_ALL)
def test_no_setting_of_the_user_changes_an_answer(
    template: Path, answers: Mapping[str, Any], tmp_path: Path, name: str, command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    clone, other = copy_clone(template, tmp_path / "one"), copy_clone(template, tmp_path / "two")
    make_dirty(clone)
    SETTINGS[name](other)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(other.path / ".git/config"))
    assert COMMANDS[command](clone) == answers[command]


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_committed_is_what_lies_there(template: Path, tmp_path: Path, name: str) -> None:
    clean, clone = (copy_clone(template, tmp_path / name) for name in ("clean", "hostile"))
    for one in (clean, clone):
        make_dirty(one)
    SETTINGS[name](clone)
    snapshot, wanted = (take_snapshot(Repo(one.tree), "kept").commit for one in (clone, clean))
    assert snapshot is not None and wanted is not None
    assert Repo(clone.tree).resolve_tree(snapshot) == Repo(clean.tree).resolve_tree(wanted)
    made, meant = (Repo(one.tree).commit_all("work") for one in (clone, clean))
    assert made is not None and meant is not None
    assert Repo(clone.tree).resolve_tree(made) == Repo(clean.tree).resolve_tree(meant)


def test_the_untouched_clone_shows_all_that_is_hidden(answers: Mapping[str, Any]) -> None:
    assert answers["conflict markers"] == ["a.txt"]
    assert len(answers["weakened tests"]) == 1
    findings, changed = answers["commit proof"]
    assert "conflict markers are left in a.txt" in findings
    assert any(text.startswith("changed outside owned_paths") for text in findings)
    assert "sub" in changed
    assert answers["dirty"] == ["RUN.SH", "a.txt", "new/", "run.sh"]
    assert answers["candidate"].conflicts == ("a.txt",)


def test_a_command_that_is_not_declared_is_refused(template: Path, tmp_path: Path) -> None:
    with pytest.raises(NotDeclared, match="shortlog"):
        copy_clone(template, tmp_path / "one").repo.run_readonly("shortlog")


@pytest.mark.parametrize("version", ["2", "4"])
@pytest.mark.parametrize("kind", ["sha1", "sha256"])
def test_flags_are_read_in_every_form_of_an_index(tmp_path: Path, version: str, kind: str) -> None:
    git(tmp_path, "init", "--quiet", f"--object-format={kind}", ".")
    names = ["a", "b" * 200, "b" * 5000 + "/x", "ünï", "dir/" + "c" * 9, "dir/d"]
    data = "".join(f"100644 {git(tmp_path, 'hash-object', '-w', '--stdin', stdin='x')}\t{one}\n"
                   for one in names if len(one) < 4096)  # fmt: skip
    git(tmp_path, "update-index", "--index-info", stdin=data)
    git(tmp_path, "update-index", f"--index-version={version}")
    index, commit = tmp_path / ".git/index", "1" * (40 if kind == "sha1" else 64)
    assert scan_index(index) == IndexScan()
    for option in ("skip-worktree", "assume-unchanged"):
        git(tmp_path, "update-index", f"--{option}", "dir/d")
        assert scan_index(index) == IndexScan(has_flags=True)
        git(tmp_path, "update-index", f"--no-{option}", "dir/d")
        assert scan_index(index) == IndexScan()
    git(tmp_path, "update-index", "--add", "--cacheinfo", f"160000,{commit},dir/sub")
    assert scan_index(index) == IndexScan(gitlinks={b"dir/sub": commit})


def test_the_token_of_the_forge_reaches_no_commit_hook(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = copy_clone(template, tmp_path / "one")
    hook = clone.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\necho "$GH_TOKEN$GITHUB_TOKEN" > seen.txt\n')
    hook.chmod(0o755)
    monkeypatch.setenv("GH_TOKEN", "gho_secret")
    monkeypatch.setenv("GITHUB_TOKEN", "gho_secret")
    write(clone.tree, {"a.txt": "x\n"})
    Repo(clone.tree).commit_all("work")
    assert (clone.tree / "seen.txt").read_text() == "\n"
    assert os.environ["GH_TOKEN"] == "gho_secret"
