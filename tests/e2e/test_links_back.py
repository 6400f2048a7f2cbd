"""A linked environment that leads back to the main checkout: checks through it are no evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import git, write
from tests.e2e.workspace import FEATURE, Workspace, both

SITE = ".venv/lib/python3.11/site-packages"
CHECK = {"kind": "command", "name": "t", "run": ["true"]}
FINDER = "from x import y\nMAPPING: dict[str, str] = {{'calc': '{src}/calc'}}\n"
PHP = "<?php\n$baseDir = dirname($vendorDir);\nreturn ['Calc' => [$baseDir . '/src']];\n"


def direct_url(app: Path, *, editable: bool = True) -> str:
    return json.dumps({"url": f"file://{app}", "dir_info": {"editable": editable}})


def link(place: Path, target: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def make(root: Path, check: dict[str, object] | None = None, **repo: object) -> Workspace:
    """A cell `one` with a green check; the repository tracks `src/calc` and `packages/ui`."""
    ws = Workspace.make(
        root / "w", cells={"one": {"checks": [check or CHECK]}}, settings={"repos": {"app": repo}}
    )
    app = ws.repos / "app"
    write(app, {"src/calc/__init__.py": "A = 1\n", "packages/ui/index.js": "ui\n",
                ".gitignore": ".venv\nnode_modules\nvendor\n"})  # fmt: skip
    git(app, "add", "-A")
    git(app, "commit", "--quiet", "-m", "source")
    git(app, "push", "--quiet", "origin", "main")
    write(app, {".venv/pyvenv.cfg": "home = /usr\n", f"{SITE}/plain.py": "\n",
                f"{SITE}/six.pth": "import sys\n# a comment\nsix\n",
                f"{SITE}/six.dist-info/direct_url.json": direct_url(app, editable=False),
                "node_modules/left/index.js": "x\n", "vendor/x/y.php": "x\n"})  # fmt: skip
    link(app / ".venv" / "bin" / "python", "/usr/bin/python3")
    link(app / "node_modules" / ".bin" / "left", "../left/index.js")
    return ws


BACK: dict[str, tuple[str, Callable[[Path], None]]] = {
    "pth": (".venv", lambda app: write(app, {f"{SITE}/__editable__.calc.pth": f"{app}/src\n"})),
    "relative-pth": (".venv", lambda app: write(app, {f"{SITE}/calc.pth": "../../../../src\n"})),
    "egg-link": (".venv", lambda app: write(app, {f"{SITE}/calc.egg-link": f"{app}/src\n.\n"})),
    "finder": (".venv", lambda app: write(
        app, {f"{SITE}/__editable___calc_finder.py": FINDER.format(src=app / "src")})),
    "direct-url": (".venv", lambda app: write(
        app, {f"{SITE}/calc.dist-info/direct_url.json": direct_url(app)})),
    "workspace": ("node_modules", lambda app: link(app / "node_modules/ui", "../packages/ui")),
    "scope": ("node_modules", lambda app: link(
        app / "node_modules/@x/ui", "../../packages/ui")),
    "pnpm": ("node_modules", lambda app: link(
        app / "node_modules/.pnpm/node_modules/ui", "../../../packages/ui")),
    "composer": ("vendor", lambda app: write(app, {"vendor/composer/autoload_psr4.php": PHP})),
    "composer-path": ("vendor", lambda app: link(app / "vendor/x/ui", "../../packages/ui")),
}  # fmt: skip


@pytest.mark.parametrize("kind", BACK)
def test_a_check_through_it_is_not_evaluated(kind: str, tmp_path: Path) -> None:
    """Plan and run warn of it, it costs no repair, and one line allows it."""
    name, lead_back = BACK[kind]
    ws = make(tmp_path, link=[".venv", "node_modules", "vendor"])
    lead_back(ws.repos / "app")
    planned = ws.run("plan", FEATURE, code=0)
    assert f"warning: app: {name} (" in planned.stderr
    done = ws.run("run", FEATURE, code=1)
    assert f"warning: app: {name} (" in both(done)
    told = f"checks would test other source than the cell's: {name} ("
    assert f"not evaluated: own source: {told}" in both(done)
    assert ws.starts() == ["one 1"]
    assert ws.journal(kind="repair.opened") == []
    assert ws.branch("one") not in ws.heads()
    ws.settings(repos={"app": {"link": [".venv", "node_modules", "vendor"],
                               "allow_links_back": True}})  # fmt: skip
    assert "app: " not in ws.run("plan", FEATURE, code=0).stderr
    ws.run("run", FEATURE, code=0)
    assert ws.starts() == ["one 1"]


def test_an_environment_of_its_own_is_nobodys_source(tmp_path: Path) -> None:
    ws = make(tmp_path, link=[".venv", "node_modules", "vendor"])
    app = ws.repos / "app"
    write(app, {f"{SITE}/own.pth": "./sub\n/usr/lib/elsewhere\n", "data/x": "x\n"})
    write(app, {"vendor/composer/autoload_psr4.php": PHP.replace("/src", "/vendor/x")})
    link(app / "vendor" / "data", "../data")  # not tracked, so no source
    assert "leads to" not in ws.run("plan", FEATURE, code=0).stderr
    ws.run("run", FEATURE, code=0)


def test_a_copy_leads_to_its_own_worktree_or_back(tmp_path: Path) -> None:
    """Its relative links are the worktree's; absolute paths stay the main checkout's."""
    ws = make(tmp_path, copy=[".venv", "node_modules"])
    app = ws.repos / "app"
    BACK["workspace"][1](app)
    ws.run("run", FEATURE, code=0)
    BACK["pth"][1](app)
    assert "warning: app: .venv (" in ws.run("plan", FEATURE, code=0).stderr
    ws.run("clean", FEATURE, code=0)
    assert "not evaluated: own source" in both(ws.run("run", "--force", FEATURE, code=1))


def test_a_set_up_that_installs_anew_is_evidence(tmp_path: Path) -> None:
    """What counts is the worktree as it is when its checks run."""
    pth = f"{SITE}/__editable__.calc.pth"
    ws = make(tmp_path, copy=[".venv"], setup=[f'echo "$PWD/src" > {pth}'])
    BACK["pth"][1](ws.repos / "app")
    ws.run("run", FEATURE, code=0)


def test_scripts_of_a_copy_that_start_the_original_are_none(tmp_path: Path) -> None:
    """`.venv/bin/pytest` of a copy runs with the interpreter, and the packages, of the original."""
    pth = f"{SITE}/__editable__.calc.pth"
    ws = make(tmp_path, copy=[".venv"], setup=[f'echo "$PWD/src" > {pth}'])
    app = ws.repos / "app"
    write(app, {".venv/bin/pytest": f"#!{app}/.venv/bin/python3\nimport pytest\n"})
    BACK["pth"][1](app)
    assert "not evaluated: own source" in both(ws.run("run", FEATURE, code=1))


def test_a_set_up_that_installs_into_a_shared_environment_is_none(tmp_path: Path) -> None:
    """Whoever was set up last wins: checks would test the source of another checkout."""
    pth = f"{SITE}/__editable__.calc.pth"
    ws = make(tmp_path, link=[".venv"], setup=[f'echo "$PWD/src" > {pth}'])
    ws.spec({"one": {"checks": [CHECK]}, "two": {"checks": [CHECK], "depends_on": ["one"]}})
    done = ws.run("run", FEATURE, code=1)
    assert "not evaluated: own source: checks would test other source" in both(done)
    assert f"leads to {ws.root}/.orchestr/" in both(done)
    assert list(ws.heads()) == [ws.branch("one"), "main"]


def test_landing_and_cross_checks_do_not_count_it_either(tmp_path: Path) -> None:
    ws = make(tmp_path, link=[".venv"], allow_links_back=True, land_checks=["true"])
    BACK["pth"][1](ws.repos / "app")
    ws.run("run", FEATURE, code=0)
    ws.settings(repos={"app": {"link": [".venv"], "land_checks": ["true"]}})
    done = ws.run("land", FEATURE, "--yes")
    assert done.returncode != 0
    assert "not evaluated: .venv (" in both(done)
    assert git(ws.repos / "app.git", "log", "--format=%s", "-1", "main") == "source"
    ws.spec({"one": {"checks": [CHECK]}}, cross_checks=[{"repo": "app", **CHECK}])
    crossed = ws.run("run", FEATURE, code=1)
    assert "not evaluated: checks would test other source" in both(crossed)
