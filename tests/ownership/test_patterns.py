"""What a pattern of `owned_paths` matches is what git says of the same line in a `.gitignore`."""

from __future__ import annotations

import pytest

from orchestr.spec.path_patterns import check_path_pattern, match_paths
from tests.conftest import MakeRepo

PATHS = (
    "web/x", "web/deep/x.md", "sub/web/x", "sub/web", "webs/x", "server/x.go", "server/web/x",
    "README.md", "docs/README.md", "a/b", "a/c/b", "a/c/d/b", "a/c/d/b/e", "x.go", "deep/er/x.go",
    "conf.d/a", "1.txt", "a1.txt",
)  # fmt: skip


@pytest.mark.parametrize(
    "pattern",
    [
        "web", "web/", "/web", "/web/", "web/**", "web/*", "**/web", "**/web/", "sub/web", "*.md",
        "/*.md", "docs/*.md", "**/*.go", "deep/**/x.go", "a/**/b", "a/*/b", "*/x", "conf.?/",
        "[0-9].txt", "[!0-9]*.txt", "**", "*", "/**", "w*b/", "README.md",
    ],
)  # fmt: skip
def test_a_pattern_matches_what_git_says(pattern: str, make_repo: MakeRepo) -> None:
    sandbox = make_repo()
    assert check_path_pattern(pattern) == pattern
    (sandbox.path / ".gitignore").write_text(f"{pattern}\n")
    words = "".join(f"{path}\n" for path in PATHS)
    said = sandbox.git("check-ignore", "--no-index", "--stdin", "-v", "-n", stdin=words)
    ignored = {line.split("\t")[1] for line in said.splitlines() if not line.startswith("::")}
    owns = match_paths([pattern])
    assert {path for path in PATHS if owns(path)} == ignored
