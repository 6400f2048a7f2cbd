"""Our own jinja2 templates, compiled once.

Owns the compiled code in `__pycache__` beside the templates, as Python keeps that of its modules.
Compiling the page of a run takes a tenth of a second, at the end of each run. Only for templates of
this package: their surroundings never change within a version of it. jinja2 is imported late.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import BytecodeCache


def open_code_cache(label: str, templates: Mapping[str, Path]) -> BytecodeCache:
    """What an environment with these templates (their names and files) takes as its cache.

    ``label`` begins the names of the cache's files; one label is one environment, because its
    options are compiled in. Other templates are compiled each time. A folder that cannot be
    written is no error.
    """
    import jinja2
    from jinja2.bccache import Bucket, FileSystemBytecodeCache

    class CodeCache(FileSystemBytecodeCache):
        def load_bytecode(self, bucket: Bucket) -> None:
            if bucket.key in keys:
                with suppress(OSError):
                    super().load_bytecode(bucket)

        def dump_bytecode(self, bucket: Bucket) -> None:
            if bucket.key in keys and not sys.dont_write_bytecode:
                with suppress(OSError):  # not ours to write
                    Path(self.directory).mkdir(exist_ok=True)
                    super().dump_bytecode(bucket)

    (folder,) = {path.parent for path in templates.values()}
    made_by = f"{sys.implementation.cache_tag}.jinja2-{jinja2.__version__}"
    made = CodeCache(str(folder / "__pycache__"), f"{label}.{made_by}.%s")
    keys = {made.get_cache_key(name, str(path)) for name, path in templates.items()}
    return made
