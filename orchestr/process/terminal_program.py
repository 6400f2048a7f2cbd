"""Programs that a person uses at the terminal in between: an editor, a pager.

The one kind of child that shares our terminal, our process group and our environment: it is the
user's own program, started because the user asked for it.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from orchestr.errors import OrchestrError


def edit_file(path: Path, environ: Mapping[str, str]) -> None:
    """Let the user change a file with $VISUAL or $EDITOR, else vi.

    Raises OrchestrError when the editor cannot be started, or ends with another code than 0.
    """
    words = shlex.split(environ.get("VISUAL") or environ.get("EDITOR") or "vi")
    hint = "set EDITOR to your editor, for example: export EDITOR=nano"
    try:
        done = subprocess.run([*words, str(path)], cwd=path.parent, env=dict(environ), check=False)
    except (OSError, ValueError) as error:
        raise OrchestrError(
            f"the editor {words[0]!r} cannot be started: {error}", hint=hint
        ) from None
    if done.returncode != 0:
        raise OrchestrError(f"the editor {words[0]!r} ended with exit {done.returncode}", hint=hint)


def page_text(text: str, environ: Mapping[str, str]) -> bool:
    """Show a text with $PAGER, else less, which ends by itself where it fits on the screen.

    False where no pager can be started: the caller prints it then.
    """
    words = shlex.split(environ.get("PAGER") or "less")
    try:
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, env={"LESS": "FRX", **environ}, cwd=Path.cwd()
        ) as pager:
            try:
                pager.communicate(text.encode("utf-8", "replace"))
            except (BrokenPipeError, KeyboardInterrupt):
                pager.wait()  # left with q, or by Ctrl+C in the pager: nothing is wrong
            return pager.returncode in (0, 130, -2)
    except (OSError, ValueError, IndexError):
        return False
