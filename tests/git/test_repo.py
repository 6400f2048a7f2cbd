"""Repo answers what git knows, moves refs only from where they are, and commits for anybody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestr.errors import UsageError
from orchestr.git.repo import (
    NO_COMMIT,
    CommitId,
    CommitRefused,
    CommitUnavailable,
    GitError,
    NoCommits,
    RefMoved,
    Repo,
    branch_name,
    git_version,
)
from orchestr.git.worktree_list import parse_worktrees
from tests.conftest import MakeRepo, Sandbox, git, write

ODD = ["a b.txt", "new\nline.txt", "tab\t.txt", "ünï.txt", "-dash", '"quoted"', "back\\slash"]


@pytest.fixture
def box(make_repo: MakeRepo) -> Sandbox:
    return make_repo(files={"a.txt": "1\n2\n3\n", "b.txt": "b\n"})


def test_names_become_commits_or_nothing(box: Sandbox) -> None:
    repo = Repo(box.path)
    head = box.git("rev-parse", "HEAD")
    assert repo.resolve_commit("main") == repo.head() == repo.require_head() == head
    assert repo.resolve_commit("origin/main") == head
    for name in ("nobody", "--all", "-h", "", "main..x", "HEAD~9"):
        assert repo.resolve_commit(name) is None
    assert repo.resolve_tree("main") == box.git("rev-parse", "main^{tree}")
    assert repo.head_branch() == "main"
    box.git("checkout", "--quiet", "--detach")
    assert repo.head_branch() is None


def test_an_unborn_head_is_a_clear_error(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "empty")
    repo = Repo(tmp_path / "empty")
    assert (repo.head(), repo.head_branch()) == (None, "main")
    with pytest.raises(NoCommits, match="no commit yet") as caught:
        repo.require_head()
    assert caught.value.hint is not None and "commit --allow-empty" in caught.value.hint


def test_history_is_compared(box: Sandbox) -> None:
    repo = Repo(box.path)
    first = repo.require_head()
    second = CommitId(box.commit({"c.txt": "c"}))
    assert repo.is_ancestor(first, second) and repo.is_ancestor(first, first)
    assert not repo.is_ancestor(second, first)
    assert repo.merge_base(first, second) == first
    assert (repo.count_commits(first, second), repo.count_commits(second, first)) == (1, 0)
    with pytest.raises(GitError):
        repo.is_ancestor(first, "1" * 40)


def test_odd_file_names_come_back_whole(box: Sandbox) -> None:
    repo = Repo(box.path)
    write(box.path, dict.fromkeys(ODD, "x"))
    (box.path / os.fsdecode(b"latin-\xe9")).write_text("x")
    names = sorted([*ODD, os.fsdecode(b"latin-\xe9")])
    assert sorted(repo.dirty_paths()) == names
    first = repo.require_head()
    second = repo.commit_all("odd names")
    assert second is not None
    assert sorted(repo.changed_paths(first, second)) == names


def test_a_rename_is_both_of_its_names_and_shows_in_dirty(box: Sandbox) -> None:
    repo = Repo(box.path)
    first = repo.require_head()
    box.git("mv", "a.txt", "z.txt")
    assert sorted(repo.dirty_paths()) == ["a.txt", "z.txt"]
    second = repo.commit_all("rename")
    assert second and repo.changed_paths(first, second) == ["a.txt", "z.txt"]
    assert "a.txt => z.txt" in repo.diff_stat(first, second)


def test_nothing_to_commit_is_no_commit(box: Sandbox) -> None:
    assert Repo(box.path).commit_all("nothing") is None


def test_ignored_files_are_neither_dirty_nor_committed(box: Sandbox) -> None:
    repo = Repo(box.path)
    box.commit({".gitignore": "*.log\n"})
    write(box.path, {"x.log": "x"})
    assert repo.dirty_paths() == []
    assert repo.commit_all("nothing") is None


def test_a_user_without_identity_commits_as_orchestr_one_with_as_themselves(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(box.path, {"x": "1"})
    Repo(box.path).commit_all("theirs")
    assert box.git("log", "-1", "--format=%an %ce") == "Tess Tester tess@example.org"
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    write(box.path, {"x": "2"})
    Repo(box.path).commit_all("ours")
    assert box.git("log", "-1", "--format=%an <%ae> %s") == "orchestr <orchestr@localhost> ours"
    box.git("config", "user.name", "Only Name")
    write(box.path, {"x": "3"})
    Repo(box.path).commit_all("half")
    assert box.git("log", "-1", "--format=%an %ae") == "Only Name orchestr@localhost"


def test_a_hook_that_says_no_is_heard(box: Sandbox) -> None:
    hook = box.path / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no tabs please >&2\nexit 1\n")
    hook.chmod(0o755)
    write(box.path, {"x": "1"})
    with pytest.raises(CommitRefused, match="no tabs please"):
        Repo(box.path).commit_all("refused")
    assert Repo(box.path).dirty_paths() == ["x"]


FORMATTER = """\
#!/bin/sh
echo run >> {book}
changed=0
for name in $(git diff --cached --name-only --diff-filter=AM); do
    grep -q ' $' "$name" && {{ sed -i 's/ *$//' "$name"; {then}; changed=1; }}
done
exit $changed
"""


@pytest.mark.parametrize("then", ["true", 'git add "$name"', "echo new > other.txt"])
def test_a_hook_that_corrects_files_gets_a_second_commit(
    box: Sandbox, tmp_path: Path, then: str
) -> None:
    install_hook(box, "pre-commit", FORMATTER.format(book=tmp_path / "book", then=then))
    write(box.path, {"x": "1  \n"})
    assert Repo(box.path).commit_all("with spaces") == box.git("rev-parse", "HEAD")
    assert box.git("show", "HEAD:x") == "1"
    assert Repo(box.path).dirty_paths() == []
    assert (tmp_path / "book").read_text().count("run") == 2


def test_a_hook_that_only_refuses_is_run_once(box: Sandbox, tmp_path: Path) -> None:
    install_hook(box, "pre-commit", f"#!/bin/sh\necho run >> {tmp_path}/book\nexit 1\n")
    write(box.path, {"x": "1"})
    with pytest.raises(CommitRefused):
        Repo(box.path).commit_all("refused")
    assert (tmp_path / "book").read_text().count("run") == 1


def test_a_hook_that_never_agrees_with_itself_is_run_twice(box: Sandbox, tmp_path: Path) -> None:
    stamp = f"#!/bin/sh\necho run >> {tmp_path}/book\ndate +%N >> stamp\nexit 1\n"
    install_hook(box, "pre-commit", stamp)
    write(box.path, {"x": "1"})
    with pytest.raises(CommitRefused):
        Repo(box.path).commit_all("refused")
    assert (tmp_path / "book").read_text().count("run") == 2


def test_a_formatter_sees_an_open_merge_to_its_end(box: Sandbox, tmp_path: Path) -> None:
    box.commit({"a.txt": "base\n"})
    box.git("switch", "-qc", "side")
    box.commit({"a.txt": "theirs\n"})
    box.git("switch", "-q", "main")
    box.commit({"a.txt": "ours\n"})
    assert not Repo(box.path).merge("side", "Merge side").clean
    install_hook(box, "pre-commit", FORMATTER.format(book=tmp_path / "book", then="true"))
    write(box.path, {"a.txt": "both \n"})
    merged = Repo(box.path).commit_all("both")
    assert merged is not None
    assert len(box.git("rev-parse", f"{merged}^@").split()) == 2
    assert box.git("show", "HEAD:a.txt") == "both"


@pytest.mark.parametrize("signer", ["exit 2", "sleep 30"])
def test_what_cannot_be_signed_is_nothing_against_the_commit(box: Sandbox, signer: str) -> None:
    program = box.path.parent / "signer.sh"
    program.write_text(f"#!/bin/sh\n{signer}\n")
    program.chmod(0o755)
    box.git("config", "commit.gpgSign", "true")
    box.git("config", "gpg.program", str(program))
    write(box.path, {"x": "1"})
    repo = Repo(box.path, timeout=2)
    assert repo.signs_commits
    with pytest.raises(CommitUnavailable) as refused:
        repo.commit_all("not signed")
    assert refused.value.repeatable
    assert "unsigned = true" in (refused.value.hint or "")
    off = Repo(box.path, config={"commit.gpgSign": "false"})
    assert not off.signs_commits
    assert off.commit_all("without") is not None


def test_the_users_identity_and_settings_in_the_environment_count(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("EMAIL", "who@corp.example")
    write(box.path, {"x": "0"})
    Repo(box.path).commit_all("by EMAIL")
    assert box.git("log", "-1", "--format=%an <%ae>") == "orchestr <who@corp.example>"
    for role, name in (("AUTHOR", "Ann"), ("COMMITTER", "Bob")):
        monkeypatch.setenv(f"GIT_{role}_NAME", name)
        monkeypatch.setenv(f"GIT_{role}_EMAIL", f"{name}@corp.example")
    write(box.path, {"x": "1"})
    Repo(box.path).commit_all("by variables")
    shown = box.git("log", "-1", "--format=%an <%ae> %cn <%ce>")
    assert shown == "Ann <Ann@corp.example> Bob <Bob@corp.example>"
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{role}_NAME")
        monkeypatch.delenv(f"GIT_{role}_EMAIL")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "Cid")
    monkeypatch.setenv("GIT_CONFIG_KEY_1", "core.worktree")
    monkeypatch.setenv("GIT_CONFIG_VALUE_1", "/nowhere")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'user.email'='cid@corp.example' 'core.bare=true'")
    write(box.path, {"x": "2"})
    Repo(box.path).commit_all("by settings")
    log = Repo(box.path).run_readonly("log", "-1", "--format=%an <%ae>").text
    assert log == "Cid <cid@corp.example>\n"


def install_hook(box: Sandbox, name: str, text: str) -> None:
    hook = box.path / ".git" / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(text)
    hook.chmod(0o755)


def test_foreign_git_variables_do_not_lead_astray(
    box: Sandbox, make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repo("other")
    for name, value in {
        "GIT_DIR": str(other.path / ".git"),
        "GIT_WORK_TREE": str(other.path),
        "GIT_INDEX_FILE": str(other.path / ".git/index"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.bare",
        "GIT_CONFIG_VALUE_0": "true",
        "GIT_NAMESPACE": "x",
        "GIT_OBJECT_DIRECTORY": "/nowhere",
    }.items():
        monkeypatch.setenv(name, value)
    repo = Repo(box.path)
    assert repo.toplevel() == box.path.resolve()
    assert not repo.is_bare()
    found = Repo.find_containing(box.path)
    assert found is not None and found.path == box.path


def test_settings_travel_in_the_environment_and_the_config_stays(box: Sandbox) -> None:
    config = box.path / ".git" / "config"
    before = config.read_bytes()
    repo = Repo(box.path, config={"user.name": "Set Here", "commit.gpgsign": "false"})
    write(box.path, {"x": "1"})
    repo.commit_all("with settings")
    assert box.git("log", "-1", "--format=%an") == "Set Here"
    assert repo.at_path(box.path).config == repo.config
    assert config.read_bytes() == before


def test_refs_move_only_from_where_they_are(box: Sandbox) -> None:
    repo = Repo(box.path)
    first = repo.require_head()
    second = CommitId(box.commit({"c.txt": "c"}))
    ref = "refs/orchestr/attempts/f/c/1"
    repo.update_ref(ref, first, NO_COMMIT)
    with pytest.raises(RefMoved):
        repo.update_ref(ref, second, NO_COMMIT)
    with pytest.raises(RefMoved):
        repo.update_ref(ref, second, second)
    repo.update_ref(ref, second, first)
    with pytest.raises(RefMoved):
        repo.delete_ref(ref, first)
    repo.update_ref(ref, first)
    repo.delete_ref(ref, first)
    repo.delete_ref(ref)
    assert repo.resolve_commit(ref) is None


def test_a_merge_is_clean_or_names_its_conflicts_and_is_ended_by_a_commit(box: Sandbox) -> None:
    repo = Repo(box.path)
    box.git("switch", "--quiet", "-c", "side")
    side = box.commit({"a.txt": "1\nside\n3\n"})
    box.git("switch", "--quiet", "main")
    box.commit({"b.txt": "main\n"})
    assert repo.merge(side, "clean one").clean
    assert box.git("log", "-1", "--format=%s") == "clean one"
    box.commit({"a.txt": "1\nmain\n3\n"})
    box.git("switch", "--quiet", "side")
    box.commit({"a.txt": "1\nother\n3\n"})
    outcome = repo.merge("main", "conflicting one")
    assert (outcome.clean, outcome.conflicts) == (False, ("a.txt",))
    assert "<<<<<<<" in (box.path / "a.txt").read_text()
    write(box.path, {"a.txt": "1\nside\n3\n"})
    merged = repo.commit_all("resolved")
    assert merged and len(box.git("rev-list", "--parents", "-1", merged).split()) == 3


def test_a_merge_over_local_changes_does_not_begin(box: Sandbox) -> None:
    repo = Repo(box.path)
    box.git("switch", "--quiet", "-c", "side")
    box.commit({"a.txt": "side\n"})
    box.git("switch", "--quiet", "main")
    write(box.path, {"a.txt": "local\n"})
    with pytest.raises(GitError, match="would be overwritten"):
        repo.merge("side", "never")
    assert (box.path / "a.txt").read_text() == "local\n"


def test_worktree_blocks_are_read() -> None:
    text = (
        "worktree /r\0bare\0\0"
        f"worktree /w\nx\0HEAD {'1' * 40}\0branch refs/heads/a/b\0locked why so\0\0"
        f"worktree /d\0HEAD {'0' * 40}\0detached\0locked\0prunable gone\0\0"
    )
    bare, feat, gone = parse_worktrees(text.encode())
    assert (bare.path, bare.bare, bare.head) == (Path("/r"), True, None)
    assert (feat.path, feat.branch, feat.locked) == (Path("/w\nx"), "a/b", "why so")
    assert (gone.head, gone.detached, gone.locked, gone.prunable) == (None, True, "", "gone")


def test_git_is_new_enough() -> None:
    assert git_version() >= (2, 38)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=12))
def test_a_branch_name_is_accepted_just_when_git_can_make_it(name: str) -> None:
    try:
        accepted = branch_name(name) == name
    except (UsageError, UnicodeEncodeError):
        accepted = False
    if accepted:
        assert not name.startswith("-") and not set(name) & set(" ~^:?*[\\\x7f\0\n")
        assert ".." not in name and not name.endswith((".", "/", ".lock"))
