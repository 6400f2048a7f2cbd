"""Hold candidates while a landing works: `git gc` deletes commits that no ref leads to.

Each has a ref, `refs/orchestr/landing/COMMIT`, from when it is made until no step can ask for it
any more. What is lost all the same (an earlier version held none) is made again before anything
asks for it: the same parts on the same base give the same commit, so a verdict on it still counts.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestr.git.repo import CommitId
from orchestr.landing.candidates import HELD, hold_candidate
from orchestr.landing.changes import assemble_candidate, describe_built
from orchestr.landing.events import Candidate, Made
from orchestr.landing.queue import Queue
from orchestr.landing.session import LandingSession


def hold_known_candidates(session: LandingSession) -> Iterable[Made]:
    """Hold every candidate that the queue knows; what is lost is made again. Yields those that
    became another commit: nothing is known of that one."""
    release_candidates(session)
    for candidate in _list_wanted(session.queue):
        repo = session.repo(candidate.spec.lane.repo)
        if repo.resolve_commit(candidate.commit) is None:
            built = assemble_candidate(session, candidate.spec)
            made = describe_built(session, candidate.spec, built)
            if isinstance(made, Made) and made.commit != candidate.commit:
                yield made  # one that conflicts now is made again, and then says so
        else:
            hold_candidate(repo, CommitId(candidate.commit))


def release_candidates(session: LandingSession) -> None:
    """Delete the refs of candidates that no step can ask for any more."""
    wanted = {f"{HELD}{one.commit}" for one in _list_wanted(session.queue)}
    for name in session.ways:
        repo = session.repo(name)
        words = ("for-each-ref", "--format=%(refname)", HELD)
        for ref in repo.run_readonly(*words).text.splitlines():
            if ref not in wanted:
                repo.delete_ref(ref)


def _list_wanted(queue: Queue) -> list[Candidate]:
    """Those that may be checked or land, each behind what it stands on."""
    found = []
    for one in queue.candidates.values():
        known = [queue.items.get(key) for key in one.spec.keys]
        mine = all(item is not None and not item.frozen for item in known)
        if mine and not one.failed and not one.is_empty:
            found.append(one)
    return found
