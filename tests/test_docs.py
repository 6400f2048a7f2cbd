"""The documents: links lead somewhere, commands and options exist, modules are where docs say."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import pytest
from doit.doit_cmd import DoitMain

from orchestr import cli

ROOT = Path(__file__).parents[1]
DOCS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("requirements/*.md"),
        *ROOT.glob("tests/*.md"),
        *ROOT.glob("plugin/skills/*/*.md"),
    ]
)
NAMES = [str(path.relative_to(ROOT)) for path in DOCS]
MAPS = ["docs/glossary.md", "docs/design/house.md", "docs/design/README.md"]

FENCE = re.compile(r"^ *(```+)[^\n]*\n(.*?)^ *\1`* *$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)")
COMMAND = re.compile(
    r"(?:^|\$ |(?:hint|next): +|&& |; |then: ?|, then |, or )"
    r"(?P<program>\./doitw|(?:\.venv/bin/)?orchestr|doit) (?P<words>[a-z][^\n|;&`#]*)",
    re.MULTILINE,
)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def without_code(text: str) -> str:
    return SPAN.sub("", FENCE.sub("", text))


def code_of(text: str) -> Iterator[str]:
    """Every fenced block and every code span."""
    yield from (found[2] for found in FENCE.finditer(text))
    yield from (found[2].replace("\n", " ") for found in SPAN.finditer(FENCE.sub("", text)))


def anchors_of(path: Path) -> set[str]:
    """The anchors that a forge gives to the headings of a page."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", FENCE.sub("", path.read_text()), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = 1
        while (name := anchor if number == 1 else f"{anchor}-{number - 1}") in found:
            number += 1
        found.add(name)
    return found


@cache
def help_text(*words: str) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        assert cli.main(["help", *words]) in (0, None), words
    return out.getvalue()


@cache
def verbs() -> frozenset[str]:
    found = frozenset(re.findall(r"^  orchestr ([a-z]+)", help_text(), re.MULTILINE))
    assert {"run", "status", "init"} <= found
    return found | {"help"}


@cache
def stock_verbs() -> frozenset[str]:
    """doit's own verbs, which plain `doit` has beside ours."""
    return frozenset(command.get_name() for command in DoitMain.DOIT_CMDS)


@cache
def own_tasks() -> frozenset[str]:
    """The tasks of this project's own dodo: `./doitw test`."""
    return frozenset(re.findall(r"^def task_(\w+)", (ROOT / "dodo.py").read_text(), re.MULTILINE))


def example_verbs(name: str) -> frozenset[str]:
    """The verbs that a package shown on the page adds."""
    text = (ROOT / name).read_text()
    tables = re.findall(r'entry-points."orchestr.commands"\]\n((?:\w+ = .*\n)+)', text)
    return frozenset(line.split(" = ")[0] for table in tables for line in table.splitlines())


def commands_in(name: str) -> list[tuple[str, str]]:
    text = (ROOT / name).read_text()
    return [(c["program"], c["words"]) for code in code_of(text) for c in COMMAND.finditer(code)]


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_files_and_headings(name: str) -> None:
    path, wrong = ROOT / name, []
    for link in LINK.findall(without_code(path.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            wrong.append(link)
    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_quoted_commands_are_verbs(name: str) -> None:
    wrong = []
    for program, words in commands_in(name):
        verb = words.split()[0]
        known = verbs() | example_verbs(name)
        if not program.endswith("orchestr"):
            known |= stock_verbs() | (own_tasks() if program == "./doitw" else frozenset())
        if verb not in known:
            wrong.append(f"{program} {words}")
    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_quoted_options_exist(name: str) -> None:
    wrong = []
    for program, words in commands_in(name):
        verb = words.split()[0]
        if verb == "help" or verb not in verbs():
            continue
        known = set(OPTION.findall(help_text(verb)))
        wrong += [f"{program} {words}" for option in OPTION.findall(words) if option not in known]
    assert wrong == []


def test_commands_are_found_in_the_docs() -> None:
    """The patterns above match something: as many verbs are quoted as there are."""
    quoted = {words.split()[0] for name in NAMES for _, words in commands_in(name)}
    assert verbs() - quoted <= {"schema", "completion", "validate", "help"}


def test_every_page_is_linked() -> None:
    """A reader who starts at the README reaches every page, by a link or by its path in code."""
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        path = todo.pop()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        text = path.read_text()
        for link in LINK.findall(without_code(text)):
            if not re.match(r"[a-z]+:", link) and link[0] != "#":
                todo.append((path.parent / link.partition("#")[0]).resolve())
        named = (ROOT / code for code in code_of(text) if re.fullmatch(r"docs/[\w/]+\.md", code))
        todo += [page for page in named if page.exists()]
    assert {path for path in DOCS if ROOT / "docs" in path.parents} - seen == set()


@pytest.mark.parametrize("name", MAPS)
def test_named_modules_and_classes_exist(name: str) -> None:
    """`cell/slots.py` is a module, and in "`cell/slots.py` `SlotPool`" that class is in it."""
    text, wrong = FENCE.sub("", (ROOT / name).read_text()), []
    packages = {path.name for path in (ROOT / "orchestr").iterdir() if path.is_dir()}
    for module in re.findall(r"`([a-z_]+(?:/[a-z_]+)+(?:\.py|/))`", text):
        if module.split("/")[0] in packages and not (ROOT / "orchestr" / module).exists():
            wrong.append(module)
    for module, defined in re.findall(r"`([a-z_/]+\.py)` `(\w+)`", text):
        tree = ast.parse((ROOT / "orchestr" / module).read_text())
        names = {
            node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)
        }
        if defined not in names:
            wrong.append(f"{module} {defined}")
    assert wrong == []
