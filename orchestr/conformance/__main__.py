"""Try one agent: `python -m orchestr.conformance`, what to try as JSON on stdin.

A program of its own, so that it can be started without a network. stdin is a `Request` as an
object; each finding becomes a line of JSON on stdout as it comes.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from orchestr.conformance.perform import Finding, try_promises
from orchestr.conformance.request import parse_request


def main() -> int:
    """Exit 0 whatever is found."""
    request = parse_request(sys.stdin.read())

    def write_finding(finding: Finding) -> None:
        sys.stdout.write(json.dumps(asdict(finding)) + "\n")
        sys.stdout.flush()

    try_promises(
        request.make_subject(), request.list_promises(), request.find_lacks(), listen=write_finding
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
