"""Objects of a clone that are gone after an agent: which count as lost, and what comes back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestr.cell.worktree.object_guard import ObjectLosses, find_lost_objects
from orchestr.cell.worktree.object_keep import COPIED, keep_objects
from orchestr.git.trace import GitCommand
from tests.conftest import MakeRepo, Sandbox, git, write

BIG = COPIED * 2


@pytest.fixture
def clone(make_repo: MakeRepo) -> Sandbox:
    """A pack, loose commits on top, a commit that nothing refers to, an object that is large."""
    sandbox = make_repo()
    for number in range(3):
        sandbox.commit({f"{number}.txt": f"{number}\n"}, "packed")
    sandbox.git("repack", "-adq")
    lines = "".join(f"{(number * 2654435761) % 2**32:x}\n" for number in range(BIG // 4))
    sandbox.commit({"big.txt": lines, "mine.txt": "mine\n"}, "not pushed")
    sandbox.git("branch", "dangling", sandbox.git("commit-tree", "HEAD^{tree}", "-m", "lost"))
    (sandbox.path / "dangling").write_text(sandbox.git("rev-parse", "dangling"))
    sandbox.git("branch", "-qD", "dangling")
    sandbox.git("config", "gc.auto", "0")
    return sandbox


def objects(clone: Sandbox) -> Path:
    return clone.path / ".git/objects"


def overwrite(path: Path, data: bytes = b"evil") -> None:
    path.chmod(0o644)
    with path.open("r+b") as stream:
        stream.write(data)
    path.chmod(0o444)


def remove_loose(clone: Sandbox) -> None:
    for fan in objects(clone).glob("??"):
        shutil.rmtree(fan)


def overwrite_all(clone: Sandbox) -> None:
    """The large one is kept as a link, so it is left out."""
    for path in objects(clone).glob("??/*"):
        if path.stat().st_size <= COPIED:
            overwrite(path)


def remove_packs(clone: Sandbox) -> None:
    shutil.rmtree(objects(clone) / "pack")


def replace_pack(clone: Sandbox) -> None:
    for path in (objects(clone) / "pack").glob("*.pack"):
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data[:40] + bytes(len(data) - 60) + data[-20:])


def lead_elsewhere(clone: Sandbox) -> None:
    for fan in objects(clone).glob("??"):
        shutil.rmtree(fan)
        fan.symlink_to(clone.path)


def make_folders(clone: Sandbox) -> None:
    for path in objects(clone).glob("??/*"):
        path.unlink()
        (path / "deep").mkdir(parents=True)


HARMS: dict[str, tuple[Callable[[Sandbox], object], str]] = {
    "removed": (remove_loose, "loose objects removed"),
    "overwritten": (overwrite_all, "loose objects overwritten"),
    "packs": (remove_packs, ".pack"),
    "another pack": (replace_pack, ".pack removed or overwritten"),
    "folder": (lambda clone: shutil.rmtree(objects(clone)), "loose objects removed"),
    "links": (lead_elsewhere, "loose objects removed"),
    "folders": (make_folders, "loose objects removed"),
}


def compare(clone: Sandbox, *commands: str) -> ObjectLosses:
    common, kept = clone.path / ".git", clone.path.parent / "kept"
    ran = [GitCommand(name=name) for name in commands]
    return find_lost_objects(kept, common, ran, was_kept=True)


def keep(clone: Sandbox, *, extend: bool = False) -> None:
    keep_objects(clone.path.parent / "kept", clone.path / ".git", extend=extend)


def is_whole(clone: Sandbox) -> bool:
    lost = (clone.path / "dangling").read_text()
    return git(clone.path, "cat-file", "-t", lost) == "commit" and not git(
        clone.path, "fsck", "--full", "--no-dangling"
    )


@pytest.mark.parametrize("name", HARMS)
def test_what_is_taken_away_comes_back(clone: Sandbox, name: str) -> None:
    act, said = HARMS[name]
    keep(clone)
    act(clone)
    losses = compare(clone)
    assert any(said in text for text in losses.found), losses.found
    harm, warnings = losses.put_back()
    assert is_whole(clone)
    assert [text.endswith("all were put back") for text in harm] == [True] and not warnings
    assert compare(clone).found == []


def test_what_came_later_is_kept_in_addition(clone: Sandbox) -> None:
    keep(clone)
    clone.commit({"later.txt": "later\n"}, "of a person, meanwhile")
    keep(clone, extend=True)
    remove_loose(clone)
    compare(clone).put_back()
    assert is_whole(clone)


def test_a_submodule_of_the_clone(clone: Sandbox, tmp_path: Path) -> None:
    folder = clone.path / ".git/modules/lib/deep"
    folder.parent.mkdir(parents=True)
    shutil.copytree(clone.path / ".git", folder, ignore=shutil.ignore_patterns("modules"))
    keep(clone)
    shutil.rmtree(folder / "objects")
    assert str(folder) in compare(clone).found[0]
    compare(clone).put_back()
    assert not git(folder, "fsck", "--full", "--no-dangling")


def test_what_is_kept_of_a_submodule_as_links(clone: Sandbox, tmp_path: Path) -> None:
    """Its own objects, which the clone around it does not have."""
    lib, folder = tmp_path / "lib", clone.path / ".git/modules/lib"
    lib.mkdir()
    git(lib, "init", "--quiet", ".")
    write(lib, {"lib.txt": "lib\n"})
    git(lib, "add", "-A")
    git(lib, "commit", "--quiet", "-m", "lib")
    git(lib, "repack", "-adq")
    shutil.copytree(lib / ".git", folder)
    keep(clone)
    shutil.rmtree(folder / "objects")
    harm, _ = compare(clone).put_back()
    assert [text.endswith("all were put back") for text in harm] == [True], harm
    assert not git(folder, "fsck", "--full", "--no-dangling")


@pytest.mark.parametrize(
    "words",
    [("gc", "-q"), ("repack", "-adq"), ("prune-packed",), ("maintenance", "run", "--quiet"),
     ("fsck",), ("status",)],
)  # fmt: skip
def test_a_persons_maintenance_is_no_harm(clone: Sandbox, words: tuple[str, ...]) -> None:
    keep(clone)
    write(clone.path, {"mine.txt": "mine\n", "0.txt": "0\n"})  # objects that are there: made newer
    clone.git("add", "--renormalize", ".")
    clone.git("hash-object", "-w", "0.txt", "mine.txt")
    clone.git(*words)
    losses = compare(clone)
    assert (losses.found, losses.losses) == ([], [])


def test_what_a_persons_gc_prunes_comes_back_with_a_warning(clone: Sandbox) -> None:
    keep(clone)
    clone.git("gc", "-q", "--prune=now")
    losses = compare(clone)
    assert losses.found == []
    harm, warnings = losses.put_back()
    assert harm == [] and "by a git gc that was not its agent's" in warnings[0]
    assert is_whole(clone)


def test_what_an_agents_gc_prunes_is_harm(clone: Sandbox) -> None:
    keep(clone)
    clone.git("gc", "-q", "--prune=now")
    harm, warnings = compare(clone, "gc").put_back()
    assert len(harm) == 1 and not warnings
    assert is_whole(clone)


def test_what_is_kept_as_a_link_and_was_written_into_is_named(clone: Sandbox) -> None:
    keep(clone)
    packs = sorted(path for path in (objects(clone) / "pack").iterdir() if path.suffix != ".rev")
    for path in packs:
        overwrite(path)
    harm, _ = compare(clone).put_back()
    assert "could not be put back" in harm[0] and packs[0].name[:24] in harm[0]
    assert f"git --git-dir={clone.path}/.git fsck --full" in harm[0]


def test_a_list_that_is_gone_is_reported(clone: Sandbox, tmp_path: Path) -> None:
    kept = tmp_path / "never made"
    losses = find_lost_objects(kept, clone.path / ".git", [], was_kept=True)
    assert "is not known any more" in losses.found[0] and losses.put_back()[0] == losses.found
    assert find_lost_objects(kept, clone.path / ".git", [], was_kept=False).found == []
