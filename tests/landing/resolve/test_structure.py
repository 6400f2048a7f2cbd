"""Conflicts of one file that are resolved by structure, and those that must not be."""

from __future__ import annotations

from textwrap import dedent

import pytest

from orchestr.landing.resolve.conflict import FileConflict
from orchestr.landing.resolve.structure import resolve_structure


def resolve(path: str, base: str, ours: str, theirs: str) -> str | None:
    versions = (dedent(text).lstrip("\n").encode() for text in (base, ours, theirs))
    merged = resolve_structure(FileConflict(path, *versions))
    return None if merged is None else merged.decode()


def both(path: str, base: str, ours: str, theirs: str) -> str | None:
    """The merge, after a look that the other side's view refuses what this one refuses."""
    merged = resolve(path, base, ours, theirs)
    swapped = resolve(path, base, theirs, ours)
    assert (merged is None) == (swapped is None)
    return merged


BASE = """
    import os
    from typing import Any, List


    class Editor:
        def __init__(self, editor=None, env=None):
            self.editor = editor
            self.env = env

        def edit(self, name):
            run(name, env=self.env)


    __all__ = ["Editor", "Other"]
"""
OURS = """
    import os
    import time
    from typing import Any, Callable, List


    class Editor:
        \"\"\"Edits.\"\"\"

        def __init__(self, editor=None, env=None, timeout: int = 3):
            self.editor = editor
            self.env = env
            self.timeout = timeout

        def edit(self, name):
            run(name, env=self.env, timeout=self.timeout)

        def wait(self):
            time.sleep(1)


    def ours():
        return 1


    __all__ = ["Editor", "Other", "ours"]
"""
THEIRS = """
    import os
    import shlex
    from typing import Any, List, Optional


    class Editor:
        def __init__(
            self,
            editor=None,
            env=None,
            *,
            args: Optional[str] = None,
        ):
            self.editor = editor
            self.env = env
            self.args = args

        def edit(self, name):
            run(name, env=self.env, args=shlex.split(self.args))

        @property
        def theirs(self):
            return self.args


    def other():
        return 2


    __all__ = ["Editor", "Other", "other"]
"""
MERGED = """
    import os
    import shlex
    import time
    from typing import Any, Callable, List, Optional


    class Editor:
        \"\"\"Edits.\"\"\"

        def __init__(
            self,
            editor=None,
            env=None,
            timeout: int = 3,
            *,
            args: Optional[str] = None,
        ):
            self.editor = editor
            self.env = env
            self.timeout = timeout
            self.args = args

        def edit(self, name):
            run(name, env=self.env, timeout=self.timeout, args=shlex.split(self.args))

        def wait(self):
            time.sleep(1)

        @property
        def theirs(self):
            return self.args


    def ours():
        return 1


    def other():
        return 2


    __all__ = ["Editor", "Other", "other", "ours"]
"""


def test_two_features_of_one_class() -> None:
    assert both("a.py", BASE, OURS, THEIRS) == dedent(MERGED).lstrip("\n")


GO = """
    package a

    import (
    \t"fmt"
    \t"os"
    )

    type T struct {
    \tA int
    }

    func F(a int) int {
    \treturn a
    }
"""

MERGES = {
    "json: both add a last entry": (
        "a.json",
        '{\n  "a": 1,\n  "b": {"x": 1}\n}\n',
        '{\n  "a": 1,\n  "b": {"x": 1, "y": 2},\n  "c": 3\n}\n',
        '{\n  "a": 2,\n  "b": {"x": 1, "z": [1]},\n  "d": 4\n}\n',
        '{\n  "a": 2,\n  "b": {"x": 1, "y": 2, "z": [1]},\n  "c": 3,\n  "d": 4\n}\n',
    ),
    "toml: a sorted list, tables, comments": (
        "a.toml",
        '[p]  # kept\ndeps = [\n  "a",\n  "d",\n]\n',
        '[p]  # kept\ndeps = [\n  "a",\n  "b",\n  "d",\n]\n\n[tool.x]\na = 1\n',
        '[p]  # kept\nversion = "2"\ndeps = [\n  "a",\n  "c",  # why\n  "d",\n'
        "]\n\n[tool.y]\nb = 1\n",
        '[p]  # kept\nversion = "2"\ndeps = [\n  "a",\n  "b",\n  "c",  # why\n  "d",\n]\n'
        "\n[tool.x]\na = 1\n\n[tool.y]\nb = 1\n",
    ),
    "toml: both add the same table": (
        "a.toml",
        "",
        "[t]\na = 1\n",
        "[t]\nb = 2\n",
        "[t]\na = 1\nb = 2\n",
    ),
    "yaml: jobs and steps": (
        "ci.yml",
        "on: push\njobs:\n  test:\n    steps:\n    - run: a\n",
        "on: push\njobs:\n  test:\n    env: {A: 1}\n    steps:\n    - run: a\n    - run: |\n"
        "        ours: 1\n  lint:\n    steps: []\n",
        "on: push\njobs:\n  test:\n    timeout: 3\n    steps:\n    - run: a\n    - name: theirs\n"
        "      run: b\n  docs:\n    steps: []\n",
        "on: push\njobs:\n  test:\n    env: {A: 1}\n    timeout: 3\n    steps:\n    - run: a\n"
        "    - run: |\n        ours: 1\n    - name: theirs\n      run: b\n"
        "  lint:\n    steps: []\n  docs:\n    steps: []\n",
    ),
    "first entries of a list stand together": (
        "CHANGELOG.md",
        "## Unreleased\n\n- old\n",
        "## Unreleased\n\n- ours\n- old\n",
        "## Unreleased\n\n- theirs\n- old\n",
        "## Unreleased\n\n- ours\n- theirs\n- old\n",
    ),
    "entries with blank lines between keep them": (
        "CHANGELOG.md",
        "# L\n\n- one\n\n- two\n",
        "# L\n\n- ours\n\n- one\n\n- two\n",
        "# L\n\n- theirs\n\n- one\n\n- two\n",
        "# L\n\n- ours\n\n- theirs\n\n- one\n\n- two\n",
    ),
    "markdown: items and headings": (
        "CHANGELOG.md",
        "# Log\n\n## Unreleased\n### Added\n- a\n\n## 1.0\n- x\n",
        "# Log\n\n## Unreleased\n### Added\n- a\n- ours\n  more\n### Fixed\n- f\n\n## 1.0\n- x\n",
        "# Log\n\n## Unreleased\n### Added\n- a\n- theirs\n### Fixed\n- g\n\n## 1.0\n- x\n",
        "# Log\n\n## Unreleased\n### Added\n- a\n- ours\n  more\n- theirs\n### Fixed\n- f\n- g\n\n"
        "## 1.0\n- x\n",
    ),
    "rst: the same version twice": (
        "CHANGES.rst",
        "Version 1\n---------\n\n-   Old.\n",
        "Version 2\n---------\n\n-   Ours :issue:`1`\n    more\n\n\nVersion 1\n"
        "---------\n\n-   Old.\n",
        "Version 2\n---------\n\n-   Theirs.\n\n\nVersion 1\n---------\n\n-   Old.\n",
        "Version 2\n---------\n\n-   Ours :issue:`1`\n    more\n-   Theirs.\n\n\n"
        "Version 1\n---------\n\n-   Old.\n",
    ),
    "go: imports, fields, methods": (
        "a.go",
        GO,
        GO.replace('"os"', '"os"\n    \t"time"').replace("A int\n", "A int\n    \tB int // ours\n")
        + "\n    // O does.\n    func (t *T) O() {\n    }\n",
        GO.replace('"os"', '"os"\n    \t"strings"').replace("A int\n", "A int\n    \tC string\n")
        + "\n    func P() {\n    }\n",
        GO.replace('"os"', '"os"\n    \t"strings"\n    \t"time"').replace(
            "A int\n", "A int\n    \tB int // ours\n    \tC string\n"
        )
        + "\n    // O does.\n    func (t *T) O() {\n    }\n\n    func P() {\n    }\n",
    ),
    "typescript: names, tests, cases": (
        "a.ts",
        'import { a } from "x";\ndescribe("A", () => {\n  it("1", () => {\n  });\n});\n'
        "switch (x) {\n  case 1:\n    f();\n    break;\n}\nconst o = { a: 1 };\n",
        'import { a, b } from "x";\ndescribe("A", () => {\n  it("1", () => {\n  });\n'
        '  it("2", () => {\n  });\n});\nswitch (x) {\n  case 1:\n    f();\n    break;\n'
        "  case 2:\n    f();\n    break;\n}\nconst o = { a: 1, ours: 1 };\n",
        'import { a, c } from "x";\ndescribe("A", () => {\n  it("1", () => {\n  });\n'
        '  it("3", () => {\n  });\n});\nswitch (x) {\n  case 1:\n    f();\n    break;\n'
        "  case 3:\n    f();\n    break;\n}\nconst o = {\n  a: 1,\n  theirs: 1,\n};\n",
        'import { a, b, c } from "x";\ndescribe("A", () => {\n  it("1", () => {\n  });\n'
        '  it("2", () => {\n  });\n\n  it("3", () => {\n  });\n});\n'
        "switch (x) {\n  case 1:\n    f();\n    break;\n  case 2:\n    f();\n    break;\n\n"
        "  case 3:\n    f();\n    break;\n}\nconst o = {\n  a: 1,\n  ours: 1,\n  theirs: 1,\n};\n",
    ),
    "rust: variants and arms": (
        "a.rs",
        "use a::{b, c};\n\npub enum E<'a> {\n    A(&'a str),\n}\n\nfn f() {\n    match e {\n"
        "        E::A(_) => { 2 }\n    }\n}\n",
        "use a::{b, c, d};\n\npub enum E<'a> {\n    A(&'a str),\n    B,\n}\n\n"
        "fn f() {\n    match e {\n"
        "        E::A(_) => { 2 }\n        E::B => 1,\n    }\n}\n",
        "use a::{b, c, e};\n\npub enum E<'a> {\n    A(&'a str),\n    C { x: u8 },\n}\n\nfn f() {\n"
        "    match e {\n        E::A(_) => { 2 }\n        E::C { .. } => 3,\n    }\n}\n",
        "use a::{b, c, d, e};\n\npub enum E<'a> {\n    A(&'a str),\n    B,\n    C { x: u8 },\n}\n\n"
        "fn f() {\n    match e {\n        E::A(_) => { 2 }\n        E::B => 1,\n"
        "        E::C { .. } => 3,\n    }\n}\n",
    ),
    "java: members with annotations, braces on lines of their own": (
        "A.java",
        "import a.B;\n\nclass A {\n    int x;\n}\n",
        "import a.B;\nimport a.D;\n\nclass A {\n    int x;\n    int y = 2;\n\n"
        "    /** Ours. */\n    @Test\n"
        "    void ours()\n    {\n        f();\n    }\n}\n",
        "import a.B;\nimport a.C;\n\nclass A {\n    int x;\n"
        "    Map<String, Integer> z;\n\n    @Test\n"
        "    void theirs() {\n    }\n}\n",
        "import a.B;\nimport a.C;\nimport a.D;\n\nclass A {\n    int x;\n    int y = 2;\n\n"
        "    /** Ours. */\n    @Test\n    void ours()\n    {\n        f();\n    }\n"
        "    Map<String, Integer> z;\n\n    @Test\n    void theirs() {\n    }\n}\n",
    ),
    "python: paragraphs of one docstring": (
        "a.py",
        'def f():\n    """Does.\n\n    :param a: one\n    """\n',
        'def f():\n    """Does.\n\n    :param a: one\n    :param b: two\n    """\n',
        'def f():\n    """Does.\n\n    :param a: one\n    :param c: three\n'
        '       and more\n    """\n',
        'def f():\n    """Does.\n\n    :param a: one\n    :param b: two\n    :param c: three\n'
        '       and more\n    """\n',
    ),
    "python: one side lays out anew": (
        "a.py",
        "x = f(a, b)\n",
        "x = f(\n    a,\n    b,\n    c=1,  # one\n)\n",
        "x = f(a, b, d=2)\n",
        "x = f(\n    a,\n    b,\n    c=1,  # one\n    d=2,\n)\n",
    ),
    "python: a deletion beside an addition": (
        "a.py",
        "def a(): ...\n\n\ndef b(): ...\n",
        "def a(): ...\n",
        "def a(): ...\n\n\ndef b(): ...\n\n\ndef c(): ...\n",
        "def a(): ...\n\n\ndef c(): ...\n",
    ),
    "python: an end of a function and a new function": (
        "a.py",
        "def a():\n    x = 1\n",
        "def a():\n    x = 1\n    y = 2\n",
        "def a():\n    x = 1\n\n\ndef b(): ...\n",
        "def a():\n    x = 1\n    y = 2\n\n\ndef b(): ...\n",
    ),
    "python: the same import from both": (
        "a.py",
        "import os\n",
        "import os\nimport time\nfrom a import b\n",
        "import os\nimport time\nfrom a import c\n",
        "import os\nimport time\nfrom a import b, c\n",
    ),
    "markdown: a paragraph that one side edits, and lines around it of the other": (
        "a.md",
        "# A\n\none two three four five six seven eight nine ten eleven twelve.\n\nend\n",
        "# A\n\none two three four five six seven eight nine ten 11 twelve.\n\nend\n",
        "# A\n\n\none two three four five six seven eight nine ten eleven twelve.\n\nmore\n\nend\n",
        "# A\n\n\none two three four five six seven eight nine ten 11 twelve.\n\nmore\n\nend\n",
    ),
    "python: a star stays last": (
        "a.py",
        "def f(a): ...\n",
        "def f(a, *, b): ...\n",
        "def f(a, c=1): ...\n",
        "def f(a, c=1, *, b): ...\n",
    ),
}

REFUSED = {
    "the same name": ("a.py", "", "def a(): ...\n", "def a(): pass\n"),
    "the same name at two places": (
        "a.py",
        "def x(): ...\n\n\ndef y(): ...\n",
        "def a(): ...\n\n\ndef x(): ...\n\n\ndef y(): ...\n",
        "def x(): ...\n\n\ndef y(): ...\n\n\ndef a(): pass\n",
    ),
    "both change a line": ("a.py", "x = 1\n", "x = 2\n", "x = 3\n"),
    "both change a string": ("a.py", 'x = "a b"\n', 'x = "a b c"\n', 'x = "z a b"\n'),
    "one deletes, one changes": ("a.py", "a = 1\nb = 1\n", "a = 1\n", "a = 1\nb = 2\n"),
    "a rename of what the other calls": (
        "a.py",
        "def a(): ...\n\n\na()\n",
        "def b(): ...\n\n\nb()\n",
        "def a(): ...\n\n\na()\na()\n",
    ),
    "a moved function that the other deletes": (
        "a.py",
        "def a(): ...\ndef b(): ...\ndef c(): ...\n",
        "def b(): ...\ndef c(): ...\ndef a(): ...\n",
        "def b(): ...\ndef c(): ...\n",
    ),
    "two positions in a call": ("a.py", "f(a)\n", "f(a, b)\n", "f(a, c)\n"),
    "two required parameters": (
        "a.py", "def f(a): ...\n", "def f(a, b): ...\n", "def f(a, c): ...\n",
    ),
    "a keyword twice": ("a.py", "f(a)\n", "f(a, b=1)\n", "f(a, b=2)\n"),
    "an order that counts": (
        "a.py",
        "def f(x):\n    return x\n",
        "def f(x):\n    x = x + 1\n    return x\n",
        "def f(x):\n    x = x * 2\n    return x\n",
    ),
    "what stands behind a return": (
        "a.py",
        "def f(x):\n    x = 1\n",
        "def f(x):\n    x = 1\n    return x\n",
        "def f(x):\n    x = 1\n    y = 2\n",
    ),
    "two operators": ("a.py", "x = a\n", "x = a and b\n", "x = a or c\n"),
    "two branches": (
        "a.py",
        "if a:\n    f()\n",
        "if a:\n    f()\nelif b:\n    g()\n",
        "if a:\n    f()\nelif c:\n    h()\n",
    ),
    "an overload of both": (
        "a.py",
        "@overload\ndef f(a: int): ...\ndef f(a): ...\n",
        "@overload\ndef f(a: int): ...\n@overload\ndef f(a: str): ...\ndef f(a): ...\n",
        "@overload\ndef f(a: int): ...\n@overload\ndef f(a: list): ...\ndef f(a): ...\n",
    ),
    "a case that must stand last": (
        "a.ts",
        "switch (x) {\n  case 1:\n    break;\n}\n",
        "switch (x) {\n  case 1:\n    break;\n  default:\n    f();\n}\n",
        "switch (x) {\n  case 1:\n    break;\n  case 2:\n    break;\n}\n",
    ),
    "a case that falls through": (
        "a.ts",
        "switch (x) {\n  case 1:\n    break;\n}\n",
        "switch (x) {\n  case 1:\n    break;\n  case 2:\n    f();\n}\n",
        "switch (x) {\n  case 1:\n    break;\n  case 3:\n    break;\n}\n",
    ),
    "the same method twice": (
        "A.java",
        "class A {\n}\n",
        "class A {\n    void f() {\n    }\n}\n",
        "class A {\n    void f() {\n        g();\n    }\n}\n",
    ),
    "the same key twice": ("a.json", '{"a": 1}\n', '{"a": 1, "b": 1}\n', '{"a": 1, "b": 2}\n'),
    "a key that both change": ("a.yml", "a: 1\n", "a: 2\n", "a: 3\n"),
    "an entry that both move": ("a.json", "[1, 2, 3]\n", "[3, 1, 2]\n", "[1, 3, 2]\n"),
    "a text of YAML that both change": (
        "a.yml", "a: |\n  x\n", "a: |\n  x\n  y\n", "a: |\n  x\n  z\n",
    ),
    "a paragraph that both change": ("a.md", "one two\n", "one two three\n", "zero one two\n"),
    "broken Python": ("a.py", "x = 1\n", "x = 1\ny = (\n", "x = 1\nz = 2\n"),
    "broken brackets": ("a.go", "a()\n", "a()\nb((\n", "a()\nc()\n"),
    "no kind that is known": ("a.unknown", "a\n", "a\nb\n", "a\nc\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", MERGES)
def test_merges(name: str) -> None:
    path, base, ours, theirs, merged = MERGES[name]
    assert both(path, base, ours, theirs) == dedent(merged).lstrip("\n")


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    path, base, ours, theirs = REFUSED[name]
    assert both(path, base, ours, theirs) is None


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_line_endings_stay(newline: str, end: str) -> None:
    texts = ["a = 1\n", "a = 1\nb = 2\n", "a = 1\nc = 3\n"]
    data = [(text.rstrip("\n") + end).replace("\n", newline).encode() for text in texts]
    merged = resolve_structure(FileConflict("a.py", data[0], data[1], data[2]))
    assert merged == f"a = 1{newline}b = 2{newline}c = 3{end and newline}".encode()


def test_a_file_of_both_sides() -> None:
    assert (
        resolve_structure(FileConflict("a.py", None, b"a = 1\n", b"b = 2\n")) == b"a = 1\nb = 2\n"
    )
    assert resolve_structure(FileConflict("a.py", None, b"a = 1\n", b"b = 2\0\n")) is None
