"""git that the machine ended has answered nothing: no question of ours reads a "no" out of it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import orchestr
from orchestr.errors import Unavailable
from orchestr.git.attributes import use_attributes_of
from orchestr.git.branches import rename_branch
from orchestr.git.config import Branch
from orchestr.git.diff import DiffLimits, read_diffs
from orchestr.git.merge import find_conflict_markers
from orchestr.git.push_place import find_other_push_place
from orchestr.git.repo import CommitId, Repo
from tests.conftest import MakeRepo
from tests.faults.broken_git import CHILD, KILL, NO_FILES, NO_MEMORY, NO_ROOM, BrokenGit

HOWS = {"killed": KILL, "memory": NO_MEMORY, "room": NO_ROOM, "child": CHILD, "files": NO_FILES}
QUESTIONS: dict[str, Callable[[Repo, Path], Any]] = {
    "resolve_commit": lambda repo, _: repo.resolve_commit("HEAD"),
    "no such commit": lambda repo, _: repo.resolve_commit("refs/heads/none"),
    "head": lambda repo, _: repo.head(),
    "head_branch": lambda repo, _: repo.head_branch(),
    "is_ancestor": lambda repo, _: repo.is_ancestor("HEAD", "HEAD"),
    "merge_base": lambda repo, _: repo.merge_base("HEAD", "HEAD"),
    "is_empty": lambda repo, _: repo.is_empty(),
    "is_repository": lambda repo, _: repo.is_repository(),
    "find_containing": lambda repo, _: Repo.find_containing(repo.path),
    "committer_config": lambda repo, _: repo.committer_config,
    "has_remote": lambda repo, _: repo.has_remote(),
    "list_worktrees": lambda repo, _: repo.list_worktrees(),
    "dirty_paths": lambda repo, _: repo.dirty_paths(),
    "merge_trees": lambda repo, _: repo.merge_trees("HEAD", "HEAD"),
    "merge": lambda repo, _: repo.merge("HEAD", "text"),
    "commit_all": lambda repo, _: repo.commit_all("text"),
    "update_ref": lambda repo, _: repo.update_ref("refs/x/y", repo.require_head()),
    "delete_ref": lambda repo, _: repo.delete_ref("refs/x/y"),
    "fetch": lambda repo, _: repo.fetch("origin"),
    "ls_remote": lambda repo, _: repo.ls_remote("origin"),
    "push": lambda repo, _: repo.push("origin", _head(repo), Branch("new")),
    "delete_remote_branch": lambda repo, _: repo.delete_remote_branch(
        "origin", "main", _head(repo)
    ),
    "push place": lambda repo, _: find_other_push_place(repo),
    "markers": lambda repo, _: find_conflict_markers(repo, "HEAD", "HEAD"),
    "rename": lambda repo, locks: rename_branch(repo, Branch("main"), Branch("b"), locks=locks),
    "attributes": lambda repo, _: _attributes(repo),
}


def _head(repo: Repo) -> CommitId:
    return CommitId((repo.path / ".git/refs/heads/main").read_text().strip())


def _attributes(repo: Repo) -> None:
    with use_attributes_of(repo, "main"):
        pass


def leave_refs_to_git(repo: Repo) -> None:
    """What `orchestr.git.ref_files` could answer is asked of git, too: git itself passes over the
    folder of another form of refs that its config does not name."""
    (repo.path / ".git" / "reftable").mkdir()


def _arm(patch: pytest.MonkeyPatch, broken: BrokenGit, how: str, **more: Any) -> None:
    for name, value in broken.env(how, **more).items():
        patch.setenv(name, value)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_takes_it_for_an_answer(
    question: str, how: str, tmp_path: Path, make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = Repo(make_repo().path)
    leave_refs_to_git(repo)
    monkeypatch.setattr("orchestr.git.runner.FAULT_TRIES", 1)
    _arm(monkeypatch, BrokenGit(tmp_path / "git"), HOWS[how], times=100)
    with pytest.raises(Unavailable):
        QUESTIONS[question](repo, tmp_path / "locks")


def test_what_only_reads_is_asked_again(
    tmp_path: Path, make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, broken = Repo(make_repo().path), BrokenGit(tmp_path / "git")
    leave_refs_to_git(repo)
    wanted = repo.head()
    _arm(monkeypatch, broken, KILL, times=2)
    assert repo.head() == wanted
    assert len(broken.hits()) == 2 and broken.calls() == 3


def test_a_diff_for_a_page_is_left_out_and_not_empty(
    tmp_path: Path, make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_repo()
    one, two = sandbox.git("rev-parse", "HEAD"), sandbox.commit({"a": "1\n"})
    _arm(monkeypatch, BrokenGit(tmp_path / "git"), KILL, times=100)
    pair = (CommitId(one), CommitId(two))
    assert read_diffs(Repo(sandbox.path), [pair], DiffLimits()) == {}


def test_words_of_the_server_are_no_fault_of_this_machine(
    tmp_path: Path, make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestr.git.errors import RemoteAway

    words = 'echo "remote: fatal: Out of memory, malloc failed" >&2; exit 128'
    _arm(monkeypatch, BrokenGit(tmp_path / "git"), words, words=" ls-remote ", times=100)
    with pytest.raises(RemoteAway):
        Repo(make_repo().path).ls_remote("origin")


def test_every_caller_names_the_exit_codes_that_are_answers() -> None:
    runners = {"run_git", "run_readonly", "run_with_retry", "stream_git"}
    wrong = []
    for path in Path(orchestr.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in runners and any(word.arg == "check" for word in node.keywords):
                wrong.append(f"{path}:{node.lineno}")
    assert not wrong
