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


if __name__ == "__main__":
    pytest.main()
