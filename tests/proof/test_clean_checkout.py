"""Checks judge the commit: they see what a clean clone of it holds, and nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git, write
from tests.crash.house import House
from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do
from tests.proof.test_reviewers import begin

Make = Callable[..., Workspace]

# Each leaves what the check needs where no commit holds it; the last two are set-ups.
HIDING = {
    "ignored": "mkdir -p gen && echo ok > gen/made",
    "ignores itself": "mkdir -p own && echo '*' > own/.gitignore && echo ok > own/made",
    "clone's excludes": "mkdir -p out && echo ok > out/made",
    "assume unchanged": "git update-index --assume-unchanged state && echo ok > state",
    "skip worktree": "git update-index --skip-worktree state && echo ok > state",
}
NEEDS = {"ignored": "test -e gen/made", "ignores itself": "test -e own/made",
         "clone's excludes": "test -e out/made"}  # fmt: skip


def check(script: str, name: str = "t") -> dict[str, Any]:
    return {"kind": "command", "name": name, "run": ["sh", "-c", script]}


def make_hiding(make: Make, way: str, **repo: Any) -> Workspace:
    """A cell whose check is green in its worktree and red on a clean clone."""
    needs = check(NEEDS.get(way, "grep -q ok state"))
    if way not in NEEDS:
        repo["setup"] = [HIDING[way]]
    ws = make(
        cells={"one": {"checks": [needs], "repair": {"checks": 0}}},
        settings={"repos": {"app": repo}},
    )
    add_files(ws, {".gitignore": "gen/\n", "state": "bad\n"})
    (ws.repos / "app" / ".git" / "info").mkdir(exist_ok=True)
    (ws.repos / "app" / ".git" / "info" / "exclude").write_text("/out/\n")
    ws.script("one", f"{HIDING[way] if way in NEEDS else ':'}; echo work > one.txt\n")
    return ws


def add_files(ws: Workspace, files: dict[str, str]) -> None:
    """Files on main, here and at the origin."""
    app = ws.repos / "app"
    write(app, files)
    git(app, "add", "-A")
    git(app, "commit", "--quiet", "-m", "files")
    git(app, "push", "--quiet", "origin", "main")


@pytest.mark.parametrize("way", HIDING)
def test_what_no_commit_holds_makes_no_check_green(workspace: Make, way: str) -> None:
    ws = make_hiding(workspace, way)
    done = ws.run("run", FEATURE, code=1)
    assert "red: t" in both(done)
    assert not ws.prs()


@pytest.mark.parametrize("way", NEEDS)
def test_a_landing_does_not_count_what_was_found_in_an_authors_worktree(
    workspace: Make, way: str
) -> None:
    """Every view says that the checks ran there, and nothing red lands."""
    ws = make_hiding(workspace, way, checks_in="worktree")
    ws.run("run", FEATURE, code=0)
    assert "Checks in the author's worktree" in ws.pr("one")["body"]
    assert "its checks ran in the author's worktree" in both(ws.run("status", FEATURE, code=0))
    assert "its checks ran in the author's worktree" in both(ws.run("explain", f"{FEATURE}:one"))
    main = ws.heads()["main"]
    ws.settings(repos={"app": {"checks_in": "worktree"}}, landing={"repairs": 0})
    done = ws.run("land", FEATURE, "--yes", code=1)
    assert "red: t" in both(done)
    assert ws.heads()["main"] == main


@pytest.mark.parametrize("way", ["ignored", "assume unchanged"])
def test_cross_checks_do_not_see_it_either(workspace: Make, way: str) -> None:
    """Nor through the variable that leads to what a cell came to."""
    ws = make_hiding(workspace, way)
    there = NEEDS.get(way, "grep -q ok state")
    crossed = {"repo": "app", **check(f'cd "$ORCHESTR_CELL_ONE_WORKTREE" && {there}')}
    ws.spec({"one": {}}, cross_checks=[crossed])
    done = ws.run("run", FEATURE, code=1)
    assert "cross checks of demo are red" in both(done)


def test_checks_leave_the_authors_worktree_alone(workspace: Make) -> None:
    """What is changed there meanwhile is a person's; what checks change, they change elsewhere."""
    ws = workspace(cells={"one": {"repair": {"checks": 0}}})
    tree = ws.worktree("one")
    mine = check(f'echo mine > "{tree}/notes"; echo more >> "{tree}/README.md"; pwd > {ws.root}/at')
    ws.spec({"one": {"checks": [mine]}})
    ws.run("run", FEATURE, code=0)
    assert (ws.root / "at").read_text().strip() != str(tree)
    assert git(tree, "status", "--porcelain").split() == ["M", "README.md", "??", "notes"]
    assert (tree / "notes").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("script", "harm"),
    [
        ("echo x >> README.md", "tracked files of the worktree were changed: README.md"),
        ("git commit -q --allow-empty -m mine", "something else was checked out"),
        ("git update-index --skip-worktree README.md; echo x >> README.md", "index flags were set"),
        (
            "echo x >> README.md; git add README.md",
            "tracked files of the worktree were changed: README.md",
        ),
        ("rm -rf .git", "the checkout was damaged"),
    ],
)
def test_checks_that_change_what_they_judge_are_red(
    workspace: Make, script: str, harm: str
) -> None:
    """And the next round finds nothing of it."""
    ws = workspace(cells={"one": {"checks": [check(script)], "repair": {"checks": 0}}})
    done = ws.run("run", FEATURE, code=1)
    assert "worktree unchanged (while the checks ran, " in both(done)
    assert harm in both(done)
    ws.spec({"one": {"checks": [check('test "$(cat README.md)" = "# a repository"')]}})
    ws.run("run", FEATURE, code=0)
    assert ws.starts() == ["one 1"]


def test_what_one_round_leaves_is_gone_in_the_next(workspace: Make) -> None:
    """Ignored or not, a folder without write permission, a repository inside."""
    dirt = "mkdir -p gen/deep new; echo x > gen/deep/x; git init -q new/inner; chmod 500 gen/deep"
    clean = 'test -z "$(git ls-files --others)" && test ! -e gen && test ! -e new'
    ws = workspace(cells={"one": {"checks": [check(f"{clean} && {dirt}")]}})
    add_files(ws, {".gitignore": "gen/\n"})
    ws.run("run", FEATURE, code=0)
    ws.script("one", "echo again > again.txt")
    ws.run("run", "--force", FEATURE, code=0)
    assert ws.show("one", "again.txt") == "again"


def test_messages_name_the_worktree_that_their_reader_works_in(workspace: Make) -> None:
    """An agent that reads the path of a check worktree would repair that."""
    red = check('test -e good.txt || { echo "bad file: $PWD/one.txt"; exit 1; }')
    ws = workspace(cells={"one": {"checks": [red]}})
    ws.script("one", f'cat "$ORCHESTR_PROMPT_FILE" >> {ws.root}/prompts\n'
                     "[ ! -e one.txt ] || echo 1 > good.txt; echo x > one.txt\n")  # fmt: skip
    ws.run("run", FEATURE, code=0)
    prompts = (ws.root / "prompts").read_text()
    assert f"bad file: {ws.worktree('one')}/one.txt" in prompts
    assert "/checkouts/" not in prompts


def test_checks_see_an_upstream_as_it_is_committed(workspace: Make) -> None:
    seen = check('cd "$ORCHESTR_UPSTREAM_LOW_WORKTREE" && test -e low.txt && test ! -e gen && '
                 'test "$(git rev-parse HEAD)" = "$ORCHESTR_UPSTREAM_LOW_HEAD"')  # fmt: skip
    cells = {"low": {"repo": "lib"}, "high": {"depends_on": ["low"], "checks": [seen]}}
    ws = workspace(repos=("app", "lib"), cells=cells)
    (ws.repos / "lib" / ".git" / "info").mkdir(exist_ok=True)
    (ws.repos / "lib" / ".git" / "info" / "exclude").write_text("gen/\n")
    ws.script("low", "mkdir gen; echo x > gen/x; echo low > low.txt")
    ws.run("run", FEATURE, code=0)


# ---- set-up and caches -------------------------------------------------------------------------


def make_with_setup(make: Make, tmp: Path, checks: str, **repo: Any) -> tuple[Workspace, Path]:
    """A workspace whose set-up keeps a book and makes `dep/tool`, which is ignored."""
    book = tmp / "setups"
    ws = make(
        cells={"one": {"checks": [check(checks)]}},
        settings={"repos": {"app": {
            "setup": [f'echo "$PWD" >> {book}; mkdir -p dep; cat uv.lock > dep/tool'], **repo,
        }}},
    )  # fmt: skip
    add_files(ws, {".gitignore": "dep/\nbuilt/\n", "uv.lock": "1\n"})
    return ws, book


def count_setups(book: Path) -> int:
    """How often a check worktree was set up."""
    return sum("/worktrees/" not in line for line in book.read_text().splitlines())


def build_next_head(ws: Workspace, script: str = "date +%N > more.txt", code: int = 0) -> str:
    """The next head of cell one."""
    ws.script("one", script)
    return both(ws.run("run", "--force", FEATURE, code=code))


def test_a_set_up_runs_once_and_again_for_other_lock_files(workspace: Make, tmp_path: Path) -> None:
    ws, book = make_with_setup(workspace, tmp_path, "cmp dep/tool uv.lock")
    ws.run("run", FEATURE, code=0)
    build_next_head(ws)
    assert count_setups(book) == 1
    build_next_head(ws, "echo 2 > uv.lock")
    assert count_setups(book) == 2


def test_what_a_set_up_made_is_put_back_as_it_was(workspace: Make, tmp_path: Path) -> None:
    """What a check adds to it goes; what it writes over is made again."""
    script = ("test ! -e dep/new && cmp dep/tool uv.lock && echo x > dep/new && "
              "{ test ! -e evil || { touch -r dep/tool keep; "
              "echo 7 > dep/tool; touch -r keep dep/tool; rm keep; }; }")  # fmt: skip
    ws, book = make_with_setup(workspace, tmp_path, script)
    ws.run("run", FEATURE, code=0)
    build_next_head(ws, "echo x > evil")
    assert count_setups(book) == 1
    build_next_head(ws)
    assert count_setups(book) == 2


def test_a_cache_stays_as_long_as_the_lock_files_do(workspace: Make, tmp_path: Path) -> None:
    """A landing has its own: what checks of cells left in theirs makes nothing green there."""
    count = f"mkdir -p built; echo x >> built/n; wc -l < built/n >> {tmp_path}/counts"
    ws, _ = make_with_setup(workspace, tmp_path, count, cache=["built"])
    ws.run("run", FEATURE, code=0)
    build_next_head(ws)
    build_next_head(ws, "echo 2 > uv.lock")
    ws.run("land", FEATURE, "--yes", code=0)
    assert (tmp_path / "counts").read_text().split() == ["1", "2", "1", "1"]


def test_a_link_in_place_of_a_cache_is_not_followed(workspace: Make, tmp_path: Path) -> None:
    """A commit that names a place outside loses the link, not the place."""
    ws, _ = make_with_setup(workspace, tmp_path, "true", cache=["built/deep"])
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    (tmp_path / "mine" / "deep" / "file").write_text("mine\n")
    ws.script("one", f"ln -s {tmp_path}/mine built; git add -f built; echo 3 > uv.lock")
    ws.run("run", FEATURE, code=0)
    build_next_head(ws, "echo 4 > uv.lock")
    assert (tmp_path / "mine" / "deep" / "file").read_text() == "mine\n"


# ---- what is there afterwards ------------------------------------------------------------------


def list_checkouts(ws: Workspace) -> list[str]:
    """The check worktrees that git lists."""
    listed = git(ws.repos / "app", "worktree", "list", "--porcelain").splitlines()
    state = ws.root / ".orchestr"
    paths = [Path(line[9:]) for line in listed if line.startswith("worktree ")]
    return sorted(str(p.relative_to(state)) for p in paths
                  if p.is_relative_to(state) and "worktrees" not in p.parts)  # fmt: skip


def test_cells_share_check_worktrees_which_go_with_the_last_of_them(workspace: Make) -> None:
    cells = {name: {"checks": [check("true")]} for name in ("a", "b", "c", "d")}
    ws = workspace(cells=cells, settings={"checks": {"jobs": 2}})
    ws.run("run", FEATURE, code=0)
    assert set(list_checkouts(ws)) <= {"checkouts/app/1", "checkouts/app/2"}
    ws.run("clean", f"{FEATURE}:a", code=0)
    assert list_checkouts(ws)
    ws.run("clean", FEATURE, code=0)
    assert list_checkouts(ws) == []
    assert not list((ws.root / ".orchestr" / "checkouts").glob("app/*"))
    nothing_to_do(ws)


def test_they_go_when_everything_has_landed(workspace: Make) -> None:
    ws = workspace(cells={"one": {"checks": [check("true")]}})
    ws.run("run", FEATURE, code=0)
    ws.run("land", FEATURE, "--yes", code=0)
    assert not [path for path in list_checkouts(ws) if path.startswith("checkouts")]


@pytest.mark.parametrize(
    "harm", ["rm -rf {0}", "rm {0}/.git", "rm {0}.index", "echo x > {0}.json", "rm {0}.json",
             "git -C {0} config --worktree core.sparseCheckout true; rm {0}/README.md",
             "rm -r $(git -C {0} rev-parse --git-dir)", "touch $(git -C {0} rev-parse --git-dir)"
             "/index.lock; rm {0}/README.md"],
)  # fmt: skip
def test_a_check_worktree_that_is_damaged_is_made_right(workspace: Make, harm: str) -> None:
    ws = workspace(cells={"one": {"checks": [check("test -e README.md && git status")]}})
    ws.run("run", FEATURE, code=0)
    place = ws.root / ".orchestr" / "checkouts" / "app" / "1"
    assert place.is_dir()
    subprocess.run(["sh", "-c", harm.format(place)], check=False)
    build_next_head(ws)
    assert git(place, "status", "--porcelain") == ""


# ---- kills -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "at",
    ["bench:before#1", "bench:after#1", "equip:before#2", "equip:after#2", "index:before#1",
     "index:after#1", "index:before#2", "leftover:before#1", "bench:after#2", "index:after#3"],
)  # fmt: skip
def test_a_kill_at_any_step_leaves_nothing_wrong(tmp_path: Path, at: str) -> None:
    """Two rounds: the kill is in the first or in the second, and the next run is right."""
    needs = 'test "$(cat made)" = done && test "$(git ls-files --others | sort)" = made'
    settings = {"repos": {"app": {"setup": ["echo half > made; sleep 0.1; echo done > made"]}}}
    cells = {"one": {"checks": [check(f"{needs} && touch litter"), check("true", "u")]}}
    house = House.build(tmp_path / "w", cells, settings=settings)
    killed = house.crash(at, "run", FEATURE)
    if killed.returncode != -9:  # a step of the second round
        assert killed.returncode == 0, both(killed)
        (house.agents / "one.sh").write_text("echo more > more.txt\n")
        killed = house.crash(at, "run", "--force", FEATURE)
    house.run("run", FEATURE, code=0)
    assert house.states() == {"one": "done"}


def test_a_check_that_changed_files_before_a_kill_is_not_known_as_passed(workspace: Make) -> None:
    """The next one was green because of it, and a kill came before anybody looked."""
    ws = workspace(cells={"one": {}})
    waits = f"test -e {ws.root}/go || {{ touch {ws.agents}/works; sleep 60; }}"
    ws.spec({"one": {"repair": {"checks": 0}, "checks": [
        check("echo x > README.md", "evil"), check("grep -q x README.md", "fooled"),
        check(waits, "slow"),
    ]}})  # fmt: skip
    run = begin(ws)
    run.kill()
    run.wait()
    (ws.root / "go").touch()
    done = ws.run("run", FEATURE, code=1)
    assert "red: worktree unchanged" in both(done)
    assert "(cached)" not in both(done)
