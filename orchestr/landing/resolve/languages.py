"""What kinds of files the structural merge knows, and how their text is cut into tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import PurePosixPath


class Kind(StrEnum):
    """How the parts of a file nest."""

    INDENTED = "indented"  # Python: by indentation
    BRACED = "braced"  # by braces
    JSON = "json"
    TOML = "toml"
    YAML = "yaml"
    PROSE = "prose"  # Markdown, reStructuredText: by headings


_QUOTED = r'"(?:\\[\s\S]|[^"\\\n])*"'
_SINGLE = r"'(?:\\[\s\S]|[^'\\\n])*'"
_BACKTICK = r"`(?:\\[\s\S]|[^`\\])*`"
_C_COMMENT = r"//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/"
_TRIPLE = r'"""(?:\\[\s\S]|[^\\])*?"""' + r"|'''(?:\\[\s\S]|[^\\])*?'''"
_PREFIX = r"(?:[rRbBuUfF]{1,2})?"
_REGEX = r"(?<=[(,=:\[!&|?{};\n])[ \t]*/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*"


@dataclass(frozen=True)
class Language:
    """One language: patterns of its comments and strings."""

    name: str
    kind: Kind
    comment: str = r"(?!)"
    string: str = _QUOTED

    @cached_property
    def pieces(self) -> re.Pattern[str]:
        """Cuts any text of the language into pieces, none of which is empty."""
        return re.compile(
            rf"(?P<newline>\n)|(?P<space>(?:[ \t\f\v\r]|\\\n)+)|(?P<comment>{self.comment})"
            rf"|(?P<string>{self.string})|(?P<word>[^\W\d][\w$]*|\$[\w$]*)"
            r"|(?P<number>\d[\w.]*)|(?P<op>->|=>|:=|\*\*|//|::|\.\.\.|[=!<>+\-*/%&|^]=|&&|\|\||.)"
        )


PYTHON = Language(
    "python", Kind.INDENTED, r"#[^\n]*", f"{_PREFIX}(?:{_TRIPLE}|{_QUOTED}|{_SINGLE})"
)
GO = Language("go", Kind.BRACED, _C_COMMENT, rf"{_QUOTED}|`[^`]*`|'(?:\\[^\n]+?|[^'\\\n])'")
SCRIPT = Language(
    "javascript", Kind.BRACED, _C_COMMENT, f"{_REGEX}|{_QUOTED}|{_SINGLE}|{_BACKTICK}"
)
JAVA = Language(
    "java", Kind.BRACED, _C_COMMENT, f'"""(?:\\\\[\\s\\S]|[^\\\\])*?"""|{_QUOTED}|{_SINGLE}'
)
RUST = Language(
    "rust", Kind.BRACED, _C_COMMENT,
    r'b?r(?P<hashes>#*)"(?:.|\n)*?"(?P=hashes)|b?"(?:\\(?:.|\n)|[^"\\])*"'
    r"|b?'(?:\\[^\n']+|\\'|[^'\\\n])'",
)  # fmt: skip
C_LIKE = Language("c", Kind.BRACED, _C_COMMENT, f"{_QUOTED}|{_SINGLE}")
JSON = Language("json", Kind.JSON)
TOML = Language("toml", Kind.TOML, r"#[^\n]*", f"{_TRIPLE}|{_QUOTED}|'[^'\\n]*'")
YAML = Language("yaml", Kind.YAML)
MARKDOWN = Language("markdown", Kind.PROSE)
RST = Language("rst", Kind.PROSE)

_BY_SUFFIX = {
    suffix: language
    for language, suffixes in (
        (PYTHON, ".py .pyi"),
        (GO, ".go"),
        (SCRIPT, ".js .jsx .mjs .cjs .ts .tsx .mts .cts"),
        (JAVA, ".java .kt .kts .scala .groovy .cs"),
        (RUST, ".rs"),
        (C_LIKE, ".c .h .cc .cpp .cxx .hh .hpp .hxx .proto .swift .dart"),
        (JSON, ".json"),
        (TOML, ".toml"),
        (YAML, ".yaml .yml"),
        (MARKDOWN, ".md .markdown"),
        (RST, ".rst"),
    )
    for suffix in suffixes.split()
}


def find_language(path: str) -> Language | None:
    """The language of a file by its name; None for one that no rule here is made for."""
    return _BY_SUFFIX.get(PurePosixPath(path).suffix.lower())
