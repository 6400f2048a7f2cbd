"""The table of mounts: which words of bubblewrap it comes to. The disk is a temporary folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.sandbox.mounts import MountTable, SandboxError


@pytest.fixture
def table(tmp_path: Path) -> MountTable:
    (tmp_path / "blank").touch()
    return MountTable(tmp_path / "blank")


def mounts(table: MountTable) -> dict[str, tuple[str, str]]:
    """Path -> (option, source)."""
    words, found = table.list_words(), {}
    at = 0
    while at < len(words):
        if words[at] == "--tmpfs":
            found[words[at + 1]] = (words[at], "")
            at += 2
        else:
            found[words[at + 2]] = (words[at], words[at + 1])
            at += 3
    return found


def test_all_is_read_only_and_parents_come_first(table: MountTable, tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    table.allow_writing(deep)
    table.empty_folder(tmp_path / "a")

    found = list(mounts(table).items())
    assert found == [
        ("/", ("--ro-bind", "/")),
        (str(tmp_path / "a"), ("--tmpfs", "")),
        (str(deep), ("--bind", str(deep))),
    ]


def test_what_is_hidden(table: MountTable, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "token").write_text("secret")
    for name in ("keys", "token", "missing"):
        table.hide_path(tmp_path / name)

    found = mounts(table)
    assert found[str(tmp_path / "keys")] == ("--tmpfs", "")
    assert found[str(tmp_path / "token")] == ("--ro-bind", str(tmp_path / "blank"))
    assert str(tmp_path / "missing") not in found


def test_a_place_that_is_not_there_opens_its_folder(table: MountTable, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "one").mkdir(parents=True)
    (home / "two").write_text("2")
    (home / "link").symlink_to("two")
    cache = tmp_path / "cache"
    cache.mkdir()
    table.allow_writing(home / "new" / "cache", cache)

    found = mounts(table)
    assert found[str(home)] == ("--tmpfs", "")
    assert found[str(home / "one")] == ("--ro-bind", str(home / "one"))
    assert found[str(home / "two")] == ("--ro-bind", str(home / "two"))
    assert found[str(home / "link")] == ("--symlink", "two")
    assert found[str(home / "new" / "cache")] == ("--bind", str(cache))


def test_an_opened_folder_leaves_out_what_it_is_told_to(table: MountTable, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / "code").mkdir()
    table.open_folder(home, without=frozenset({".ssh"}))

    found = mounts(table)
    assert str(home / ".ssh") not in found
    assert found[str(home / "code")] == ("--ro-bind", str(home / "code"))


def test_a_place_below_a_writable_folder_is_made(table: MountTable, tmp_path: Path) -> None:
    copy, login = tmp_path / "copy", tmp_path / "login.json"
    copy.mkdir()
    login.write_text("{}")
    table.allow_writing(tmp_path / "settings", copy)
    (tmp_path / "settings").mkdir()
    table.allow_writing(tmp_path / "settings" / "login.json", login)

    assert mounts(table)[str(tmp_path / "settings" / "login.json")] == ("--bind", str(login))
    assert (copy / "login.json").read_bytes() == b""


def test_what_is_nowhere_is_left_out(table: MountTable) -> None:
    table.allow_reading(Path("/no-such-folder/at/all"))
    assert mounts(table) == {"/": ("--ro-bind", "/")}


def test_a_folder_with_too_many_entries(
    table: MountTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestr.sandbox.mounts.MOST", 2)
    for name in "abc":
        (tmp_path / "many" / name).mkdir(parents=True)
    with pytest.raises(SandboxError, match="has 3 entries"):
        table.open_folder(tmp_path / "many")


def test_links_are_followed_to_where_things_are(table: MountTable, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    table.allow_writing(tmp_path / "link")
    assert mounts(table)[str(tmp_path / "real")] == ("--bind", str(tmp_path / "real"))
