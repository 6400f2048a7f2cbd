"""The registry says who owns what; of many who ask at once, one gets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestr.errors import CorruptState
from orchestr.git.repo import Branch, Repo
from orchestr.git.worktrees import add_worktree
from orchestr.state.registry import ClaimConflict, Registry, RegistryEntry
from tests.conftest import MakeRepo


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "state" / "registry.json", tmp_path / "state" / "locks" / "r.lock")


def entry(key: str = "mlkem/java-sdk", **changes: object) -> RegistryEntry:
    values: dict[str, object] = {
        "key": key, "repo": "java-sdk", "common_dir": "/r/java-sdk/.git", "path": f"/w/{key}",
        "branch": "DSPX-1-java-sdk", "base": "1" * 40, "created_at": "2024-05-06T07:08:09+00:00",
        **changes,
    }  # fmt: skip
    return RegistryEntry(**values)  # type: ignore[arg-type]


def test_a_claim_is_found_again_and_can_be_read_by_people(registry: Registry) -> None:
    assert (registry.lookup("mlkem/java-sdk"), registry.entries()) == (None, [])
    registry.reserve(entry(ports=(8080, 8081)))
    registry.touch_phase("mlkem/java-sdk", "implement")
    found = registry.lookup("mlkem/java-sdk")
    assert found == entry(ports=(8080, 8081), last_phase="implement")
    assert json.loads(registry.path.read_text()) == {
        "schema": 1,
        "entries": {
            "mlkem/java-sdk": {
                "repo": "java-sdk",
                "common_dir": "/r/java-sdk/.git",
                "path": "/w/mlkem/java-sdk",
                "branch": "DSPX-1-java-sdk",
                "base": "1" * 40,
                "created_at": "2024-05-06T07:08:09+00:00",
                "last_phase": "implement",
                "status": "active",
                "ports": [8080, 8081],
            }
        },
        "branches": {"/r/java-sdk/.git:DSPX-1-java-sdk": "mlkem/java-sdk"},
    }
    assert registry.path.read_text().startswith('{\n  "')


def test_the_same_claim_again_changes_nothing(registry: Registry) -> None:
    registry.reserve(entry())
    registry.touch_phase("mlkem/java-sdk", "check")
    before = registry.path.stat().st_mtime_ns
    assert registry.reserve(entry(base="2" * 40)).base == "1" * 40
    assert registry.path.stat().st_mtime_ns == before
    assert registry.reserve(entry(ports=(9000,))).ports == (9000,)
    found = registry.lookup("mlkem/java-sdk")
    assert found and (found.last_phase, found.ports) == ("check", (9000,))


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        (entry(branch="other"), "mlkem/java-sdk already has branch DSPX-1-java-sdk"),
        (entry(path="/w/other"), "already has branch .* at /w/mlkem/java-sdk, not .* at /w/other"),
        (entry("f/b", path="/w/f"), "branch DSPX-1-java-sdk of java-sdk belongs to cell mlkem"),
        (entry("f/b", branch="b", path="/w/mlkem/java-sdk"), "belongs to cell mlkem/java-sdk"),
        (entry("f/b", branch="b", ports=(8081, 9000)), "port 8081 belongs to cell mlkem/java-sdk"),
    ],
)  # fmt: skip
def test_what_is_taken_is_refused_naming_its_owner(
    registry: Registry, claim: RegistryEntry, words: str
) -> None:
    registry.reserve(entry(ports=(8080, 8081)))
    before = registry.path.read_bytes()
    with pytest.raises(ClaimConflict, match=words) as caught:
        registry.reserve(claim)
    assert caught.value.owner.key == "mlkem/java-sdk"
    assert caught.value.hint is not None and "orchestr clean mlkem:java-sdk" in caught.value.hint
    assert registry.path.read_bytes() == before


def test_the_same_branch_in_another_repository_is_another_branch(registry: Registry) -> None:
    registry.reserve(entry())
    registry.reserve(entry("f/b", common_dir="/r/web-sdk/.git"))
    assert len(registry.entries()) == 2


def test_what_was_released_is_free_and_its_record_stays(registry: Registry, tmp_path: Path) -> None:
    tree = tmp_path / "w"
    tree.mkdir()
    mine = entry(path=str(tree), ports=(1,))
    registry.reserve(mine)
    assert registry.release("mlkem/java-sdk") == mine
    assert tree.is_dir()
    found = registry.lookup("mlkem/java-sdk")
    assert found and (found.status, found.ports) == ("released", ())
    assert registry.lookup_active("mlkem/java-sdk") is None
    assert registry.release("nobody/here") is None
    registry.reserve(entry("f/b", path=str(tree), ports=(1,)))
    with pytest.raises(ClaimConflict):
        registry.reserve(mine)
    assert registry.remove("f/b") is not None
    assert registry.reserve(entry(branch="new", path="/w/new")).is_active


def test_an_unknown_key_is_passed_over(registry: Registry) -> None:
    registry.touch_phase("nobody/here", "check")
    assert not registry.path.exists()


@pytest.mark.slow
def test_of_sixteen_processes_one_gets_the_branch(registry: Registry) -> None:
    code = (
        "import sys; from pathlib import Path; from orchestr.state.registry import *\n"
        "r = Registry(Path(sys.argv[1]), Path(sys.argv[2])); n = sys.argv[3]\n"
        "sys.stdin.readline()\n"
        "for turn in range(4):\n"
        "    try:\n"
        "        key = f'f{n}/{turn}'\n"
        "        r.reserve(RegistryEntry(key, 'x', '/x/.git', f'/w/{key}', f'b{turn}', '', ''))\n"
        "        print(turn)\n"
        "    except ClaimConflict: pass\n"
        "r.reserve(RegistryEntry(f'own/{n}', 'x', '/x/.git', f'/own/{n}', f'own-{n}', '', ''))\n"
    )
    argv = [sys.executable, "-c", code, str(registry.path), str(registry.lock_path)]
    children = [
        subprocess.Popen([*argv, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(16)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    won = [turn for child in children for turn in child.communicate(timeout=60)[0].split()]
    assert [child.returncode for child in children] == [0] * 16
    assert sorted(won) == ["0", "1", "2", "3"]
    keys = [e.key for e in registry.entries()]
    assert sorted(k for k in keys if k.startswith("own/")) == sorted(f"own/{n}" for n in range(16))
    assert len({(e.common_dir, e.branch) for e in registry.entries()}) == len(keys) == 20


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"schema": 2}', b'{"schema": 1, "entries": {"k": {}}}',
                b'{"schema": 1, "entries": {"k": {"ports": [], "x": 1}}}', b"\xff\xfe"],
)  # fmt: skip
def test_a_corrupt_file_is_kept_and_fails_closed_until_it_is_rebuilt(
    registry: Registry, content: bytes
) -> None:
    registry.path.parent.mkdir(parents=True)
    registry.path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(CorruptState) as caught:
            registry.lookup("k")
        assert caught.value.hint == "orchestr doctor --fix"
    with pytest.raises(CorruptState):
        registry.reserve(entry())
    (kept,) = registry.path.parent.glob("registry.json.corrupt-*")
    assert kept.read_bytes() == content
    assert registry.rebuild(Path("/w"), {}) == []
    registry.reserve(entry())
    assert kept.exists()


def test_it_is_rebuilt_from_the_worktrees_of_the_known_repositories(
    registry: Registry, make_repo: MakeRepo, tmp_path: Path
) -> None:
    trees, locks = tmp_path / "trees", tmp_path / "locks"
    repos = {name: Repo(make_repo(name).path) for name in ("java-sdk", "web-sdk")}
    for name, repo in repos.items():
        path = trees / "mlkem" / name
        add_worktree(repo, path, Branch(f"b-{name}"), repo.require_head(), locks=locks)
    add_worktree(repos["web-sdk"], tmp_path / "users", Branch("u"), repos["web-sdk"].require_head(),
                 locks=locks)  # fmt: skip
    registry.reserve(entry("kept/cell", branch="kept"))
    entries = registry.rebuild(trees, repos)
    assert [(e.key, e.repo, e.branch, e.path) for e in entries] == [
        ("kept/cell", "java-sdk", "kept", "/w/kept/cell"),
        ("mlkem/java-sdk", "java-sdk", "b-java-sdk", str(trees / "mlkem/java-sdk")),
        ("mlkem/web-sdk", "web-sdk", "b-web-sdk", str(trees / "mlkem/web-sdk")),
    ]
    assert registry.entries() == entries
    with pytest.raises(ClaimConflict):
        registry.reserve(entry("new/cell", branch="b-web-sdk",
                               common_dir=str(repos["web-sdk"].common_dir())))  # fmt: skip
