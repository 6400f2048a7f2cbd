"""The stub by hand: see the package."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from . import Forgejo


def main() -> None:
    """Serve until Ctrl+C."""
    folder, *pairs = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    repos = {slug: Path(bare) for slug, _, bare in (pair.partition("=") for pair in pairs)}
    with Forgejo(Path(folder), repos) as forgejo:
        print("\n".join(f"export {k}={v}" for k, v in forgejo.env().items()), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
