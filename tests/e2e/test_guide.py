"""docs/guide.md, typed command by command: what it shows is what comes out.

Times, commits, paths and process numbers are of the day; everything else is compared line by line.
Lines of cells that work at the same time come in any order.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import git, without_our_variables, write
from tests.e2e.test_init import make_clone

GUIDE = (Path(__file__).parents[2] / "docs" / "guide.md").read_text()
PRICE = {
    "price.py": "def total(prices):\n    return sum(prices)\n",
    "tests/test_price.py": (
        "import sys\n\nsys.path.insert(0, '.')\nimport price\n\n\n"
        "def test_total():\n    assert price.total([100, 250]) == 350\n"
    ),
}
SHOP = {
    "shop.sh": (
        'total=0\nfor cents in "$@"; do total=$((total + cents)); done\necho "total: $total"\n'
    ),
    "Makefile": 'test:\n\ttest "$$(sh shop.sh 100 250)" = "total: 350"\n',
}
AGENT = """\
import os
from pathlib import Path

print(open(os.environ["ORCHESTR_PROMPT_FILE"]).readline().strip("# \\n"))
if os.environ["ORCHESTR_CELL"] == "price":
    half = " + 50" if os.environ.get("ORCHESTR_ROUND") else ""
    code = Path("price.py").read_text().partition("\\n\\n\\n")[0].rstrip()
    code += "\\n\\n\\ndef discounted(cents, percent):\\n"
    Path("price.py").write_text(code + f"    return (cents * (100 - percent){half}) // 100\\n")
    test = Path("tests/test_price.py")
    if "discounted" not in test.read_text():
        more = "\\n\\ndef test_discounted():\\n    assert price.discounted(99, 50) == 50\\n"
        test.write_text(test.read_text() + more)
else:
    upstream = Path(os.environ["ORCHESTR_UPSTREAM_PRICE_WORKTREE"], "price.py")
    assert "discounted" in upstream.read_text()
    Path("shop.sh").write_text("percent=0\\n" + Path("shop.sh").read_text())
"""
VARYING = (
    (re.compile(r"\d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}"), "RUN"),
    (re.compile(r"pid \d+"), "PID"),
    (re.compile(r"\b\d+\.\d s|\b\d+ min \d\d s"), "TOOK"),
    (re.compile(r"(?<= at )[0-9a-f]{10,12}\b|\b[0-9a-f]{12}\b|(?<=of )[0-9a-f]{10}\b"), "COMMIT"),
    (re.compile(r" +"), " "),  # columns are as wide as a time
)


def normalise(text: str, root: str) -> list[str]:
    """The lines with what is of the day taken out, sorted."""
    text = text.replace(root, "~/work")
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return sorted(line.strip() for line in text.splitlines() if line.strip())


def dialogues(section: str) -> Iterator[tuple[str, str]]:
    """Command and answer of every console block; an answer with `…` is left out in part."""
    for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, answer = part.partition("\n")
            yield command, answer


@pytest.mark.slow
def test_the_guide_is_what_happens(tmp_path: Path) -> None:
    root = tmp_path / "work"
    (root / "origins").mkdir(parents=True)
    make_clone(root, "price", PRICE)
    make_clone(root, "shop", SHOP)
    there = Path(sys.executable).parent
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("orchestr", "pytest", "python3"):
        (tools / name).symlink_to(there / name)
    env = without_our_variables(os.environ)
    env["PATH"] = f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin"
    cwd = root
    for number, section in enumerate(re.split(r"^## (?=\d\. )", GUIDE, flags=re.MULTILINE)):
        if number == 3:
            spec = re.search(r"```yaml\n(.*?)```", section, re.DOTALL)
            assert spec is not None
            write(cwd, {"specs/discount.yaml": spec[1], "tools/my-agent.py": AGENT})
        if number == 5:
            settings = (cwd / "orchestr.toml").read_text()
            mine = GUIDE.partition("[agents.mine]")[2].partition("```")[0]
            settings = settings.replace('default = "demo"', 'default = "mine"')
            (cwd / "orchestr.toml").write_text(f"{settings}\n[agents.mine]{mine}")
        for command, answer in dialogues(section):
            if command == "ls":
                continue  # the origins lie there, too
            if command.startswith("cd "):
                cwd = cwd / command.removeprefix("cd ")
                continue
            asked = command.replace("orchestr land", "orchestr land --yes")
            done = subprocess.run(
                ["sh", "-c", asked], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            got = normalise(done.stdout + done.stderr, str(root))
            wanted = normalise(answer, str(root))
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            if "…" in wanted:
                missing = [line for line in wanted if line != "…" and line not in got]
                assert not missing, f"{command}: {missing}"
            else:
                assert got == wanted, command
    assert git(root / "price", "ls-remote", "origin", "main")
