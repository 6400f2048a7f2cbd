"""Which files of a clone belong to its picture, and pictures of earlier versions."""

from __future__ import annotations

import base64
from pathlib import Path

from orchestr.cell.worktree.clone_files import list_clone_files, owner_of
from orchestr.cell.worktree.clone_snapshot import (
    parse_snapshot,
    picture_clone_files,
    read_clone_files,
    save_snapshot,
)
from orchestr.cell.worktree.file_picture import BIGGEST, LARGE, LINK, read_entry, write_entry
from orchestr.files import write_json
from tests.conftest import MakeRepo, write

OURS = {
    "config", "config.worktree", "commondir", "shallow", "hooks/pre-commit", "hooks/sub/x",
    "info/attributes", "info/exclude", "info/grafts", "objects/info/alternates", "remotes/other",
    "branches/old", "refs/remotes/origin/HEAD", "tool-state", "modules/a/b/config",
    "modules/a/b/hooks/post-checkout", "worktrees/w/commondir", "worktrees/w/gitdir",
    "worktrees/w/info/sparse-checkout", "worktrees/w/modules/sub/config",
}  # fmt: skip
GITS = {
    "HEAD", "ORIG_HEAD", "FETCH_HEAD", "COMMIT_EDITMSG", "index", "packed-refs", "gc.log",
    "config.lock", "info/refs", "logs/HEAD", "objects/aa/bb", "refs/heads/main", "lfs/cache",
    "rr-cache/x/preimage", "worktrees/w/HEAD", "worktrees/w/index", "modules/a/b/objects/cc",
    "some-tool/database",
}  # fmt: skip


def test_all_that_git_reads_and_does_not_write_in_its_work(tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys(OURS | GITS, "x"))
    assert set(list_clone_files(tmp_path)) == OURS


def test_a_file_belongs_to_its_worktree_or_submodule() -> None:
    owners = {"config": "", "hooks/x": "", "worktrees/w/info/x": "worktrees/w",
              "modules/a/b/hooks/x": "modules/a/b", "objects/info/alternates": ""}  # fmt: skip
    assert {name: owner_of(name) for name in owners} == owners


def test_a_file_is_put_back_as_it_was(tmp_path: Path) -> None:
    plain, link, large = tmp_path / "plain", tmp_path / "link", tmp_path / "large"
    plain.write_bytes(b"\0x")
    plain.chmod(0o755)
    link.symlink_to("nowhere")
    large.write_bytes(b"x" * (BIGGEST + 1))
    before = {path: read_entry(path) for path in (plain, link, large)}
    assert [entry[0] for entry in before.values() if entry] == [0o755, LINK, LARGE]
    large.write_bytes(b"y" * (BIGGEST + 1))
    assert read_entry(large) != before[large]
    plain.unlink()
    plain.symlink_to(large)
    link.unlink()
    for path, entry in before.items():
        assert entry is not None
        write_entry(path, entry)
    assert (plain.read_bytes(), plain.stat().st_mode & 0o777) == (b"\0x", 0o755)
    assert str(link.readlink()) == "nowhere"
    assert not large.exists()  # what it was is not kept


def test_a_picture_of_an_earlier_version_says_nothing_of_other_files(
    make_repo: MakeRepo, tmp_path: Path
) -> None:
    common, path = make_repo().path / ".git", tmp_path / "picture.json"
    config = base64.b64encode((common / "config").read_bytes()).decode()
    old = {"config": config, "hooks": {"pre-push": [493, "eA=="]}, "refs": {"refs/heads/main": "1"},
           "stash": [["2", "WIP"]], "origin": {}, "holders": ["demo/a"]}  # fmt: skip
    write_json(path, {"schema": 1, **old})
    picture = parse_snapshot(path)
    assert picture is not None and not picture.whole
    assert picture.files["config"] == read_clone_files(common)["config"]
    assert picture.files["hooks/pre-push"] == (0o755, "eA==")
    covered = [picture.covers_file(name) for name in ("config", "hooks/x", "info/attributes")]
    assert covered == [True, True, False]
    assert picture.covers_ref("refs/tags/v1") and not picture.covers_ref("refs/replace/1")
    save_snapshot(path, picture)
    assert parse_snapshot(path) == picture


def test_a_worktree_that_is_being_made_is_no_part_of_the_picture(
    make_repo: MakeRepo, tmp_path: Path
) -> None:
    """Else a sibling's guard puts back its half-written files, and its cell has no repository."""
    repo = make_repo()
    for name in ("whole", "half", "locked"):
        repo.git("worktree", "add", "--quiet", "-b", name, str(tmp_path / name))
    repo.git("worktree", "lock", "--reason", "a disk", str(tmp_path / "locked"))
    common = repo.path / ".git"
    half = common / "worktrees" / "half"
    for spoil in (
        lambda: (half / "locked").write_text("initializing"),
        lambda: (half / "commondir").write_text(""),
        (half / "HEAD").unlink,
    ):
        spoil()
        owners = {owner_of(name) for name in picture_clone_files(common)} - {"", "refs"}
        assert owners == {"worktrees/whole", "worktrees/locked"}
        (half / "locked").unlink(missing_ok=True)
    assert "worktrees/half/gitdir" in read_clone_files(common)  # still looked at after the work
