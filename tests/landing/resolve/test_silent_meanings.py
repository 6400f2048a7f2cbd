"""The structural merge refuses what compiles, reads well, and does not mean both sides' edits."""

from __future__ import annotations

import pytest

from orchestr.landing.resolve.conflict import FileConflict
from orchestr.landing.resolve.structure import resolve_structure

GO = "func f(n int) int {\n\tswitch {\n\tcase n < 0:\n\t\treturn 1\n%s\t}\n\treturn 0\n}\n"
RUST = "fn f(n: i32) -> i32 {\n    match n {\n        0 => 0,\n%s    }\n}\n"
JAVA = "class A {\n  int f(Object o) {\n    switch (o) {\n%s    }\n  }\n}\n"
KOTLIN = "fun f(n: Int): Int {\n  return when {\n    n < 0 -> 1\n%s    else -> 0\n  }\n}\n"
CASE = "      case %s:\n        return 1;\n"
SERVE = '{"args": ["serve"%s]}\n'
LOCAL = "def f(x):\n%s    a(x)\n%s    b(x)\n%s    return x\n"
JS_LOCAL = "function f(x) {\n%s  a(x);\n%s  b(x);\n%s  return x;\n}\n"
C = "void f(char *p) {\n  start(p);\n%s}\n"
ALL = '__all__ = [\n    "b",\n    "a",\n%s]\n'
CALLS = "def f(c):\n    start(c)\n%s\n\ndef close(c): ...\ndef send(c): ...\n"
IMPORTS = "import os\n%s\n\ndef f():\n    pass\n%s"
OLD = "def foo():\n    pass\n\n\ndef z():\n    foo()\n"
DETAILS = "# T\n\nx\n\n<details>\n\n<summary>%s</summary>\n\n</details>\n"
STEP = "# T\n\nx\n\nTo %s:\n\nExample:\n\n```\n%s\n```\n"

SILENT = {
    "an option's value given twice": (
        "a.json", SERVE % "", SERVE % ', "--retries", "3"', SERVE % ', "--timeout", "3"'),
    "the same in YAML": (
        "a.yaml", "a:\n- s\n", "a:\n- s\n- -n\n- 3\n", "a:\n- s\n- -m\n- 3\n"),
    "the same in code": (
        "a.py", 'c = ["s"]\n', 'c = ["s", "--retries", "3"]\n', 'c = ["s", "--timeout", "3"]\n'),
    "conditions of a switch": (
        "a.go", GO % "", GO % "\tcase n > 10:\n\t\treturn `b`\n",
        GO % "\tcase n > 100:\n\t\treturn `c`\n"),
    "guards of a match": (
        "a.rs", RUST % "", RUST % "        n if n > 10 => 1,\n",
        RUST % "        n if n > 100 => 2,\n"),
    "an arm for all values": (
        "a.rs", RUST % "", RUST % "        _ => 1,\n", RUST % "        100 => 2,\n"),
    "an arm that names all values": (
        "a.rs", RUST % "", RUST % "        n => n,\n", RUST % "        100 => 2,\n"),
    "a type and one below it": (
        "a.java", JAVA % (CASE % "String s"), JAVA % (CASE % "String s" + CASE % "Number n"),
        JAVA % (CASE % "String s" + CASE % "Integer n")),
    "conditions of Kotlin's when": (
        "a.kt", KOTLIN % "", KOTLIN % "    n > 10 -> 2\n", KOTLIN % "    n > 100 -> 3\n"),
    "one name imported from two places": (
        "a.py", IMPORTS % ("", ""), IMPORTS % ("from a import load\n", ""),
        IMPORTS % ("from b import load\n", "")),
    "one name for two modules": (
        "a.py", IMPORTS % ("", ""), IMPORTS % ("import numpy as np\n", ""),
        IMPORTS % ("import other as np\n", "")),
    "a name imported here and defined there": (
        "a.py", IMPORTS % ("", ""), IMPORTS % ("from a import load\n", "\n\ndef g(): ...\n"),
        IMPORTS % ("", "\n\ndef load(): ...\n")),
    "a new local of both": (
        "a.py", LOCAL % ("", "", ""), LOCAL % ("    n = len(x)\n", "", "    log(n)\n"),
        LOCAL % ("", "    n = size(x)\n    use(n)\n", "")),
    "a new local of both in a script": (
        "a.js", JS_LOCAL % ("", "", ""), JS_LOCAL % ("  n = len(x);\n", "", "  log(n);\n"),
        JS_LOCAL % ("", "  n = size(x);\n  take(n);\n", "")),
    "two calls that are made for what they do": (
        "a.py", CALLS % "", CALLS % "    close(c)\n", CALLS % "    send(c)\n"),
    "the same in C": (
        "a.c", C % "", C % "  free(p);\n", C % "  use(p);\n"),
    "a name that is left in a comment only": (
        "a.py", OLD, "# foo is gone\n" + OLD.replace("foo", "bar") + "\n\ndef w():\n    pass\n",
        OLD + "\n\ndef v():\n    foo()\n"),
    "a call of which one side made two": (
        "a.py", "def f(x):\n    check(x)\n", "def f(x):\n    check(y)\n    check(x.strip())\n",
        "def f(x):\n    check(x, strict=True)\n"),
    "defaults, where arguments have no names": (
        "a.js", "function f(a) {\n}\n", "function f(a, b = 1) {\n}\n",
        "function f(a, c = 2) {\n}\n\nf(1, 9);\n"),
    "what is spread over a key": (
        "a.js", "o = {\n  a: 1,\n};\n", "o = {\n  a: 1,\n  ...all,\n};\n",
        "o = {\n  a: 1,\n  b: 2,\n};\n"),
    "the next number of a message": (
        "a.proto", "message M {\n  string a = 1;\n}\n",
        "message M {\n  string a = 1;\n  string b = 2;\n}\n",
        "message M {\n  string a = 1;\n  int32 c = 2;\n}\n"),
    "the next number of an enumeration": (
        "a.ts", "enum E {\n  A = 1,\n}\n", "enum E {\n  A = 1,\n  B = 2,\n}\n",
        "enum E {\n  A = 1,\n  C = 2,\n}\n"),
    "paragraphs around a part of each": (
        "a.md", "# T\n\nx\n", DETAILS % "A", DETAILS % "B"),
    "a word about the block behind it": (
        "a.md", "# T\n\nx\n", STEP % ("list", "ls"), STEP % ("remove", "rm")),
}  # fmt: skip

FINE = {
    "names, some of which are the same": (
        "a.py", ALL % "", ALL % '    "x",\n    "s",\n', ALL % '    "y",\n    "s",\n'),
    "arms of different values": (
        "a.rs", RUST % "", RUST % "        E::B(x) => x,\n", RUST % "        E::C => 2,\n"),
    "channels": (
        "a.go", GO.replace("switch", "select") % "",
        GO.replace("switch", "select") % "\tcase v := <-b:\n\t\ty(v)\n",
        GO.replace("switch", "select") % "\tcase <-c.Done():\n\t\tz()\n"),
    "other numbers": (
        "a.proto", "message M {\n  string a = 1;\n}\n",
        "message M {\n  string a = 1;\n  string b = 2;\n}\n",
        "message M {\n  string a = 1;\n  int32 c = 3;\n}\n"),
}  # fmt: skip


def resolve(path: str, base: str, ours: str, theirs: str) -> bytes | None:
    return resolve_structure(FileConflict(path, base.encode(), ours.encode(), theirs.encode()))


@pytest.mark.parametrize("name", SILENT)
def test_a_merge_that_would_silently_mean_something_else_is_refused(name: str) -> None:
    path, base, ours, theirs = SILENT[name]
    assert resolve(path, base, ours, theirs) is None
    assert resolve(path, base, theirs, ours) is None


@pytest.mark.parametrize("name", FINE)
def test_what_looks_like_it_and_goes_together_is_merged(name: str) -> None:
    path, base, ours, theirs = FINE[name]
    merged = resolve(path, base, ours, theirs)
    assert merged is not None
    added = set(ours.splitlines() + theirs.splitlines()) - set(base.splitlines())
    assert added <= set(merged.decode().splitlines())
