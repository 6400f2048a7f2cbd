"""What resolves a conflicted merge without an agent, file by file, on real repositories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from orchestr.git.repo import CommitId, Repo
from orchestr.landing.candidates import RESOLVED, Climb, Recipe, build_candidate, read_resolutions
from orchestr.landing.ladder import LadderRules, lower_rung, merge_by_ladder
from orchestr.landing.recorded import normalize_conflict, record_or_warn, record_resolutions
from orchestr.landing.rung import Rung
from orchestr.settings.keys import GeneratedFiles
from tests.conftest import git, write

LINES = "".join(f"line {n}\n" for n in range(20))


class Fork:
    """A repository in which two branches, ``a`` and ``b``, went on from ``main``."""

    def __init__(self, path: Path, base: Mapping[str, str]) -> None:
        self.path, self.repo = path, Repo(path)
        path.mkdir()
        git(path, "init", "--quiet", "-b", "main")
        self.main = self.commit(None, base)

    def commit(self, branch: str | None, files: Mapping[str, str], start: str = "main") -> CommitId:
        if branch is not None:
            git(self.path, "checkout", "--quiet", "-B", branch, start)
        write(self.path, files)
        git(self.path, "add", "-A")
        git(self.path, "commit", "--quiet", "-m", f"of {branch or 'main'}")
        return CommitId(git(self.path, "rev-parse", "HEAD"))

    def read(self, tree: str | None, path: str) -> str:
        assert tree is not None
        return git(self.path, "show", f"{tree}:{path}") + "\n"


@pytest.fixture
def fork(tmp_path: Path) -> Fork:
    return Fork(tmp_path / "r", {"log.md": LINES, "lock.txt": "0\n", "other": "x\n"})


def both_sides(fork: Fork, path: str = "log.md") -> tuple[CommitId, CommitId]:
    return (
        fork.commit("a", {path: f"of a\n{LINES}"}),
        fork.commit("b", {path: f"of b\n{LINES}", "new": "of b\n"}),
    )


def test_what_git_merges_is_left_to_git(fork: Fork) -> None:
    a, b = fork.commit("a", {"one": "1\n"}), fork.commit("b", {"two": "2\n"})
    merged = merge_by_ladder(fork.repo, a, b, LadderRules())
    assert merged.rung is Rung.GIT and merged.resolved == ()
    assert merged.tree == fork.repo.merge_trees(a, b).tree


def test_union_only_where_it_is_allowed(fork: Fork) -> None:
    a, b = both_sides(fork)
    alone = LadderRules(frozenset({Rung.UNION}))
    assert merge_by_ladder(fork.repo, a, b, alone).conflicts == ("log.md",)
    merged = merge_by_ladder(fork.repo, a, b, replace(alone, union=("*.md",)))
    assert (merged.rung, merged.resolved) == (Rung.UNION, ((Rung.UNION, "log.md"),))
    assert fork.read(merged.tree, "log.md") == f"of a\nof b\n{LINES}"
    assert fork.read(merged.tree, "new") == "of b\n"  # and all that git merged by itself


@pytest.mark.parametrize("attribute", ["-merge", "binary", "merge=ours", "filter=lfs"])
def test_what_the_repository_says_of_a_file_counts(tmp_path: Path, attribute: str) -> None:
    base = {"log.md": LINES, ".gitattributes": f"*.md {attribute}\n"}
    fork = Fork(tmp_path / "r", base)
    a, b = both_sides(fork)
    merged = merge_by_ladder(fork.repo, a, b, LadderRules(union=("*.md",)))
    assert merged.tree is None and merged.conflicts == ("log.md",)


def test_a_union_of_the_repository_never_defines_a_name_twice(tmp_path: Path) -> None:
    """`merge=union` lets git keep both sides' lines: two functions of one name would be silent."""
    base = {"app.py": "x = 1\n", ".gitattributes": "*.py merge=union\n"}
    fork = Fork(tmp_path / "r", base)
    a = fork.commit("a", {"app.py": "x = 1\n\n\ndef f(a):\n    return 1\n"})
    b = fork.commit("b", {"app.py": "x = 1\n\n\ndef f(b):\n    return 2\n"})
    assert fork.repo.merge_trees(a, b).tree is not None
    merged = merge_by_ladder(fork.repo, a, b, LadderRules())
    assert merged.tree is None and merged.conflicts == ("app.py",)
    c = fork.commit("c", {"app.py": "x = 1\n\n\ndef g():\n    return 2\n"})
    assert merge_by_ladder(fork.repo, a, c, LadderRules()).rung is Rung.GIT


@pytest.mark.parametrize("kind", ["deleted", "link", "folder"])
def test_no_conflict_of_two_contents_is_left_alone(fork: Fork, kind: str) -> None:
    a, _ = both_sides(fork)
    git(fork.path, "checkout", "--quiet", "-B", "b", "main")
    place = fork.path / "log.md"
    place.unlink()
    if kind == "link":
        place.symlink_to("other")
    head = fork.commit(None, {"log.md/inside": "x\n"} if kind == "folder" else {})
    merged = merge_by_ladder(fork.repo, a, head, LadderRules(union=("*",)))
    assert merged.tree is None and merged.conflicts


def test_generated_files_wait_for_their_generator(fork: Fork) -> None:
    a = fork.commit("a", {"lock.txt": "of a\n", "one": "1\n"})
    b = fork.commit("b", {"lock.txt": "of b\n", "two": "2\n"})
    rules = LadderRules(generated=(GeneratedFiles(("lock.txt",), ("make", "lock")),))
    merged = merge_by_ladder(fork.repo, a, b, rules)
    assert merged.rung is Rung.REGENERATE and merged.generating == ("lock.txt",)
    assert fork.read(merged.tree, "lock.txt") == "of a\n" and fork.read(merged.tree, "two") == "2\n"
    # In one candidate with others it is a conflict, so that it is made alone.
    recipes = [Recipe("f/a", a, "a"), Recipe("f/b", b, "b")]
    built = build_candidate(fork.repo, fork.main, recipes, Climb(rules))
    assert (built.commit, built.key, built.conflicts) == (None, "f/b", ("lock.txt",))
    alone = build_candidate(fork.repo, a, recipes[1:], Climb(rules))
    assert alone.generating == ("lock.txt",)
    blob = git(fork.path, "hash-object", "-w", "--stdin", stdin="of both\n")
    git(fork.path, "read-tree", merged.tree or "")
    git(fork.path, "update-index", "--cacheinfo", f"100644,{blob},lock.txt")
    written = fork.repo.resolve_tree(CommitId(git(fork.path, "write-tree")))
    done = build_candidate(fork.repo, a, recipes[1:], Climb(rules, written=written))
    assert done.generating == () and done.tree == written and done.rung is Rung.REGENERATE


def test_a_red_result_is_made_again_by_the_rungs_above(fork: Fork, tmp_path: Path) -> None:
    """Each further result has a higher rung, until there is none: it ends."""
    a = fork.commit("a", {"log.md": f"of a\n{LINES}", "lock.txt": "of a\n"})
    b = fork.commit("b", {"log.md": f"of b\n{LINES}", "lock.txt": "of b\n"})
    rules = LadderRules(generated=(GeneratedFiles(("lock.txt",), ("x",)),),
                        union=("log.md", "lock.txt"))  # fmt: skip
    seen: list[Rung] = []
    above: Rung | None = None
    while (merged := merge_by_ladder(fork.repo, a, b, rules, above=above)).tree is not None:
        seen.append(merged.rung)
        above = merged.rung
    assert seen == sorted(set(seen), key=tuple(Rung).index) and seen[-1] is Rung.UNION
    assert merged.conflicts == ("log.md", "lock.txt") or merged.conflicts
    # A generator that failed: no lower than before, and without it.
    first = merge_by_ladder(fork.repo, a, b, rules)
    assert first.generating == ("lock.txt",)
    without = replace(rules, rungs=rules.rungs - {Rung.REGENERATE})
    again = merge_by_ladder(fork.repo, a, b, without, above=lower_rung(first.rung))
    assert again.generating == () and fork.read(again.tree, "lock.txt") == "of a\nof b\n"


def test_a_resolution_that_landed_is_offered_again(fork: Fork, tmp_path: Path) -> None:
    a, b = both_sides(fork)
    resolved = f"of both, by a person\n{LINES}"
    fork.commit("merge", {"log.md": resolved, "new": "of b\n"}, start=a)
    tree = git(fork.path, "rev-parse", "HEAD^{tree}")
    made = git(fork.path, "commit-tree", tree, "-p", a, "-p", b, "-m", "merged")
    folder = tmp_path / "resolutions"
    assert record_resolutions(fork.repo, folder, a, CommitId(made)) == ["log.md"]
    rules = LadderRules(frozenset({Rung.RECORDED}), recorded=folder)
    # The same conflict from the other side, and with other changes further down in the file.
    merged = merge_by_ladder(fork.repo, b, a, rules)
    assert merged.rung is Rung.RECORDED and fork.read(merged.tree, "log.md") == resolved
    more = fork.commit("c", {"log.md": f"of a\n{LINES}the end\n"})
    merged = merge_by_ladder(fork.repo, b, more, rules)
    assert fork.read(merged.tree, "log.md") == f"{resolved}the end\n"
    # A folder that is none holds nothing up.
    (tmp_path / "none").write_text("")
    warnings: list[str] = []
    record_or_warn(fork.repo, tmp_path / "none", a, CommitId(made), warnings.append)
    assert len(warnings) == 1 and str(tmp_path / "none") in warnings[0]
    # Another conflict at the same place is another one.
    other = fork.commit("d", {"log.md": f"of d\n{LINES}"})
    assert merge_by_ladder(fork.repo, b, other, rules).tree is None
    # A record that a kill left without its second file is none.
    (next(folder.iterdir()) / "after").unlink()
    assert merge_by_ladder(fork.repo, b, a, rules).tree is None


def test_a_conflict_is_known_by_its_hunks_in_either_order() -> None:
    def marked(first: str, second: str, base: str = "") -> bytes:
        return (f"above\n<<<<<<< one\n{first}\n{base}=======\n{second}\n>>>>>>> two\n").encode()

    known = normalize_conflict(marked("x", "y"))
    assert known == normalize_conflict(marked("y", "x"))
    assert known == normalize_conflict(marked("x", "y", "||||||| 123\nold\n"))
    assert known != normalize_conflict(marked("x", "z"))
    assert known is not None and known[1] == b"above\n<<<<<<<\nx\n=======\ny\n>>>>>>>\n"
    assert normalize_conflict(b"no conflict\n") is None


def test_the_commit_says_how_it_was_resolved(fork: Fork) -> None:
    a, b = both_sides(fork)
    rules = LadderRules(frozenset({Rung.UNION}), union=("*.md",))
    for strategy in ("merge", "squash", "rebase"):
        recipe = Recipe("f/b", b, "b", (("Orchestr-Cell", "b"),), strategy)
        built = build_candidate(fork.repo, a, [recipe], Climb(rules))
        assert built.commit is not None and built.rung is Rung.UNION
        shown = git(fork.path, "log", "-1", f"--format=%(trailers:key={RESOLVED},valueonly)",
                    built.commit)  # fmt: skip
        assert shown.strip() == "union: log.md"
        assert read_resolutions(fork.repo, a, built.commit) == ("union: log.md",)
        assert build_candidate(fork.repo, a, [recipe], Climb(rules)) == built  # and always so
    plain = build_candidate(fork.repo, fork.main, [recipe], Climb(rules))
    assert plain.commit and read_resolutions(fork.repo, fork.main, plain.commit) == ()


def test_what_stays_in_conflict_is_named_and_nothing_else(fork: Fork) -> None:
    """A link beside it does not keep a file from its rung, and is what the conflict is about."""
    git(fork.path, "checkout", "--quiet", "-B", "a", "main")
    (fork.path / "link").symlink_to("other")
    a = fork.commit(None, {"log.md": f"of a\n{LINES}"})
    git(fork.path, "checkout", "--quiet", "-B", "b", "main")
    (fork.path / "link").symlink_to("lock.txt")
    b = fork.commit(None, {"log.md": f"of b\n{LINES}"})
    merged = merge_by_ladder(fork.repo, a, b, LadderRules(union=("*.md",)))
    assert merged.tree is None and merged.conflicts == ("link",)


def test_a_text_about_conflict_markers_is_merged(fork: Fork) -> None:
    shown = "<<<<<<< HEAD\nours\n=======\ntheirs\n>>>>>>> topic\n"
    start = fork.commit("start", {"git.md": f"{LINES}\n{shown}"})
    a = fork.commit("a", {"git.md": f"of a\n{LINES}\n{shown}"}, start=start)
    b = fork.commit("b", {"git.md": f"of b\n{LINES}\n{shown}"}, start=start)
    rules = LadderRules(frozenset({Rung.UNION}), union=("*.md",))
    merged = merge_by_ladder(fork.repo, a, b, rules)
    assert fork.read(merged.tree, "git.md") == f"of a\nof b\n{LINES}\n{shown}"
