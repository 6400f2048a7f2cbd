"""`site`: JSON, TOML and Markdown with a small check of their content, and twelve patches of it.

Four add a key to the same objects of the JSON, two a table to the TOML, two a page and a line of
the changelog, each at the same place as the others. Two set the same price to different values; two
add files that are red together, because an article's number must be its own.
"""

from __future__ import annotations

import json

from benchmarks.cooperbench.synthetic_words import CHANGELOG, Edit, Made, add_change

CATALOG = """\
{
  "title": "Fruit",
  "items": {
    "apple": {"price": 1},
    "pear": {"price": 2}
  }
}
"""
MENU = """\
title = "Fruit"

[menu.home]
page = "home.md"
"""
# Each file in tests/ says what a document must hold: a path of keys, and the value there.
CHECK = """\
import json, pathlib, tomllib

def unique(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), f"a key twice: {pairs}"
    return dict(pairs)

def read(path):
    text = pathlib.Path(path).read_text()
    if path.endswith(".json"):
        return json.loads(text, object_pairs_hook=unique)
    return tomllib.loads(text) if path.endswith(".toml") else {"lines": text.splitlines()}

for page in [*pathlib.Path().glob("*.*"), *pathlib.Path("pages").iterdir()]:
    if not page.is_file():
        continue
    assert "<" * 7 not in page.read_text(), f"{page} has a marker"
for test in sorted(pathlib.Path("tests").glob("*.json")):
    want = read(str(test))
    found = read(want["in"])
    for key in want["at"]:
        found = found[key]
    ok = want["is"] in found if isinstance(found, list) else found == want["is"]
    assert ok, f"{test}: {found}"
numbers = [read(str(path))["number"] for path in sorted(pathlib.Path("stock").glob("*.json"))]
assert len(set(numbers)) == len(numbers), f"a number twice: {numbers}"
for entry in read("menu.toml")["menu"].values():
    assert pathlib.Path("pages", entry["page"]).exists(), entry
"""


def _test(name: str, path: str, at: list[str], value: object) -> Edit:
    want = {"in": path, "at": at, "is": value}
    return Edit(f"tests/{name}.json", json.dumps(want, indent=2) + "\n")


def _item(name: str, price: int) -> tuple[Edit, ...]:
    """One more item, behind the last one."""
    last = '    "pear": {"price": 2}'
    return (
        Edit("catalog.json", f'{last},\n    "{name}": {{"price": {price}}}', last),
        _test(name, "catalog.json", ["items", name, "price"], price),
    )


def _menu(name: str) -> tuple[Edit, ...]:
    """A table at the end of the TOML, a page, and a line of the changelog."""
    return (
        Edit("menu.toml", f'\n[menu.{name}]\npage = "{name}.md"\n'),
        Edit(f"pages/{name}.md", f"# {name.title()}\n"),
        add_change(f"A page: {name}."),
        _test(name, "menu.toml", ["menu", name, "page"], f"{name}.md"),
    )


def _page(name: str) -> tuple[Edit, ...]:
    """A page with its line of the changelog."""
    return (
        Edit(f"pages/{name}.md", f"# {name.title()}\n"),
        add_change(f"Another page: {name}."),
        _test(name, "CHANGELOG.md", ["lines"], f"- Another page: {name}."),
    )


def _price(price: int) -> tuple[Edit, ...]:
    return (
        Edit("catalog.json", f'"apple": {{"price": {price}}}', '"apple": {"price": 1}'),
        _test(f"apple{price}", "catalog.json", ["items", "apple", "price"], price),
    )


def _stock(name: str) -> tuple[Edit, ...]:
    return (
        Edit(f"stock/{name}.json", '{"number": 7}\n'),
        _test(f"stock-{name}", f"stock/{name}.json", ["number"], 7),
    )


SITE = Made(
    files={
        "README.md": "# site\n",
        "CHANGELOG.md": CHANGELOG,
        "catalog.json": CATALOG,
        "menu.toml": MENU,
        "pages/home.md": "# Home\n",
        "stock/apple.json": '{"number": 1}\n',
        "check.py": CHECK,
        "tests/title.json": json.dumps({"in": "catalog.json", "at": ["title"], "is": "Fruit"})
        + "\n",
    },
    patches={
        "plum": _item("plum", 3),
        "fig": _item("fig", 4),
        "kiwi": _item("kiwi", 5),
        "currency": (
            Edit("catalog.json", '  "currency": "EUR",\n  "items": {', '  "items": {'),
            _test("currency", "catalog.json", ["currency"], "EUR"),
        ),
        "about": _menu("about"),
        "help": _menu("help"),
        "press": _page("press"),
        "jobs": _page("jobs"),
        "apple-2": _price(2),
        "apple-3": _price(3),
        "mango": _stock("mango"),
        "melon": _stock("melon"),
    },
    check="PYTHON -B check.py",
    union=("CHANGELOG.md",),
)
