"""Labels, reviewers and states of a local pull request: what the buttons of a forge's page do.

Owns `followed.DressingForge` for the local forge, and what people do with `orchestr comment`:
close, reopen, label. Any label, login and milestone will do: there are no lists of them here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from orchestr.forges.base import ForgeError, PRExists, PRState, PullRequest, RepoRef
from orchestr.forges.comment_files import clean_body
from orchestr.forges.followed import Dressing
from orchestr.forges.local_repos import (
    LocalRepos,
    get_pull_request,
    require_open,
    resolve_head_and_base,
)


class LocalDressing(LocalRepos):
    """The part of the local forge that changes what stands beside a pull request's text."""

    def dress_pull_request(self, repo: RepoRef, number: int, dressing: Dressing) -> Sequence[str]:
        """See `DressingForge.dress_pull_request`. A milestone that it has already stays."""
        with self.lock_and_refresh(repo) as look:
            old = get_pull_request(look, repo, number)
            milestone = clean_body(dressing.milestone or "").strip()
            new = replace(
                old,
                labels=_join(old.labels, dressing.labels),
                reviewers=_join(old.reviewers, dressing.reviewers),
                assignees=_join(old.assignees, dressing.assignees),
                milestone=old.milestone or milestone,
            )
            self.save_if_changed(look, old, new)
        if milestone and new.milestone != milestone:
            return (f"milestone {milestone}: it has {new.milestone} already",)
        return ()

    def mark_ready(self, repo: RepoRef, number: int) -> PullRequest:
        """See `DressingForge.mark_ready`. Raises ForgeError for one that is closed or merged."""
        with self.lock_and_refresh(repo) as look:
            old = get_pull_request(look, repo, number)
            if not old.pr.draft:
                return old.pr
            require_open(old.pr, "be marked as ready")
            return self.save_if_changed(look, old, replace(old, pr=replace(old.pr, draft=False)))

    def link_stack(self, repo: RepoRef, numbers: Collection[int]) -> str | None:
        """See `DressingForge.link_stack`."""
        del repo, numbers
        return "the local forge has no stacks: the base branches show them"

    def remove_label(self, repo: RepoRef, number: int, name: str) -> None:
        """Take a label away; one that is not there is gone already. Raises ForgeError."""
        with self.lock_and_refresh(repo) as look:
            old = get_pull_request(look, repo, number)
            labels = tuple(label for label in old.labels if label != name)
            self.save_if_changed(look, old, replace(old, labels=labels))

    # --- states ------------------------------------------------------------------------------

    def close_pull_request(self, repo: RepoRef, number: int, *, author: str = "") -> PullRequest:
        """See `ClosingForge.close_pull_request`. ``author`` is the person who does it."""
        return self._set_final_state(repo, number, PRState.CLOSED, "be closed", author)

    def mark_merged(self, repo: RepoRef, number: int) -> PullRequest:
        """Say that an open one was merged, by a squash or a rebase that no history shows.

        For the merge queue, which put its work into the base itself. Twice changes nothing.
        """
        return self._set_final_state(repo, number, PRState.MERGED, "be marked as merged")

    def reopen_pull_request(self, repo: RepoRef, number: int) -> PullRequest:
        """Open a closed one again; an open one stays as it is.

        Raises ForgeError: it is merged, its branch is gone or has nothing to merge, or another
        one of the branch is open (PRExists).
        """
        with self.lock_and_refresh(repo) as look:
            old = get_pull_request(look, repo, number)
            if old.pr.state is PRState.OPEN:
                return old.pr
            if old.pr.state is PRState.MERGED:
                raise ForgeError(f"{old.pr.url} is merged and cannot be opened again")
            for other in look.kept.values():
                if other.pr.head == old.pr.head and other.pr.state is PRState.OPEN:
                    raise PRExists(other.pr)
            head_sha, base_sha = resolve_head_and_base(look.origin, old.pr.head, old.pr.base)
            pr = replace(old.pr, state=PRState.OPEN, head_sha=head_sha)
            new = replace(old, pr=pr, base_sha=base_sha, closed_by="")
            opened = self.save_if_changed(look, old, new)
            look.origin.keep_pull_refs({number: head_sha})
            return opened

    def _set_final_state(
        self, repo: RepoRef, number: int, state: PRState, what: str, author: str = ""
    ) -> PullRequest:
        with self.lock_and_refresh(repo) as look:
            old = get_pull_request(look, repo, number)
            if old.pr.state is state:
                return old.pr
            require_open(old.pr, what)
            new = replace(old, pr=replace(old.pr, state=state), closed_by=clean_body(author))
            return self.save_if_changed(look, old, new)


def _join(old: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """What is there, then what is new; each once, without blanks at its ends."""
    clean = (clean_body(name).strip() for name in more)
    return tuple(dict.fromkeys((*old, *(name for name in clean if name))))
