"""The stub by hand: see the package."""

from __future__ import annotations

from tests.forges.github_stub.served import serve_by_hand

from . import GitLab

if __name__ == "__main__":
    serve_by_hand(GitLab)
