"""Try one agent: `python -m orchestr.conformance`, what to try as JSON on stdin.

A program of its own, so that it can be started without a network. stdin is a `Request` as an
object; each finding becomes a line of JSON on stdout as it comes. It ends itself, with all that it
started, when who started it was killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import asdict

from orchestr.conformance.perform import Finding, try_promises
from orchestr.conformance.request import parse_request

WATCH = 0.5  # s between two looks at the parent


def main() -> int:
    """Exit 0 whatever is found."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_watch_parent, args=(os.getppid(),), daemon=True).start()
    request = parse_request(sys.stdin.read())

    def write_finding(finding: Finding) -> None:
        sys.stdout.write(json.dumps(asdict(finding)) + "\n")
        sys.stdout.flush()

    try_promises(
        request.make_subject(), request.list_promises(), request.find_lacks(), listen=write_finding
    )
    return 0


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH)
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
