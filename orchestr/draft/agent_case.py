"""What a drafting agent is given: checkouts of all repositories, the prompt, its command.

Everything lies in the attempt's folder. The commits are written down at the first start, so that
all rounds read the same code. The checkouts are made once, and count when the file beside them says
so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestr.agents import AgentRequest
from orchestr.agents.permissions import reviewer_tools
from orchestr.cell.agent.launch import hide_secrets, session_to_resume
from orchestr.cell.agent.reader_launch import write_reader_launch
from orchestr.cell.agent.run_agent import PROMPT
from orchestr.cell.agent_options import attempt_options, request_options
from orchestr.cell.context import CellContext
from orchestr.cell.worktree.throwaway_clone import clone_at_commit, remove_clone
from orchestr.cell.worktree.wall import is_walled
from orchestr.draft import prompt as words
from orchestr.draft.context import DraftWork
from orchestr.draft.files import read_answers, read_if_there
from orchestr.draft.read_repos import find_start, read_facts
from orchestr.draft.read_repos import read_heads as find_heads
from orchestr.draft.repo_map import RepoFacts
from orchestr.errors import CorruptState
from orchestr.files import read_json, write_atomic
from orchestr.git.repo import CommitId, Repo
from orchestr.spec.agent_options import Role
from orchestr.state.attempts import Attempt

TREE, HEADS = "tree", "heads.json"
AGAIN = "again.md"  # what an agent without a session gets beside the whole prompt


@dataclass(slots=True)
class DraftCase:
    """``folder`` is that of the attempt, ``key`` the digest of what is drafted from."""

    work: DraftWork
    ctx: CellContext
    repositories: Sequence[str]
    folder: Path
    key: str
    _facts: dict[str, RepoFacts] | None = None

    def read_heads(self) -> dict[str, str]:
        """The commits that the agent reads: written down once, at its first start."""
        place = self.folder / HEADS
        try:
            return {str(k): str(v) for k, v in read_json(place).items()}
        except (CorruptState, AttributeError):  # not there yet, or no table
            heads = find_heads(self.work.settings, self.repositories)
            write_atomic(place, json.dumps(heads).encode())
            return heads

    def read_map(self) -> dict[str, RepoFacts]:
        """The map of the repositories, read once."""
        if self._facts is None:
            tree = self.folder / TREE
            checkouts = {name: tree / name for name in self.repositories if (tree / name).is_dir()}
            self._facts = read_facts(self.work.settings, self.repositories, checkouts)
        return self._facts

    def make_tree(self) -> Path:
        """A checkout of every repository, side by side, in a repository that holds nothing."""
        tree, whole = self.folder / TREE, self.folder / f"{TREE}.whole"
        if whole.exists() and tree.is_dir():
            return tree
        remove_clone(tree)
        tree.mkdir(parents=True)
        Repo(self.folder).run_git("init", "--quiet", "--template=", str(tree))
        for name, head in self.read_heads().items():
            clone_at_commit(find_start(self.work.settings, name)[0], CommitId(head), tree / name)
        write_atomic(whole, b"")
        return tree

    def start_number(self) -> int:
        """Which start of the agent comes next, or was the last one."""
        return len(list(self.folder.glob("exit.*.json"))) + 1

    def write_launch(self, attempt: Attempt, marker: str) -> None:
        """The checkouts, the prompt and `launch.json`: all that the supervisor gets."""
        ctx, work, folder = self.ctx, self.work, self.folder
        tree = self.make_tree()
        session = session_to_resume(folder)
        place = folder / ("go-on.md" if session else PROMPT)
        walled = is_walled(ctx.run)
        if session is None:
            again = read_if_there(folder / AGAIN)
            more = f"\n\n## About your last answer\n{again.decode()}" if again else ""
            text = words.render_draft_prompt(
                work.intent,
                self.read_map(),
                tree=str(tree),
                agents=tuple(work.settings.agents),
                existing=(read_if_there(work.places.target) or b"").decode("utf-8", "replace"),
                findings=(read_if_there(work.places.findings) or b"").decode("utf-8", "replace"),
                answers=read_answers(work.places, self.key) or None,
            )
            write_atomic(place, hide_secrets(ctx, text + more).encode())
        launch = ctx.run.agent_adapter(attempt.agent).prepare_launch(
            AgentRequest(
                tree,
                place,
                {
                    "ORCHESTR_ROLE": "drafter",
                    "ORCHESTR_FEATURE": work.name,
                    "ORCHESTR_ROUND": str(self.start_number()),
                    "ORCHESTR_PROMPT_FILE": str(place),
                },
                **request_options(ctx, attempt.agent, attempt_options(ctx, attempt, Role.DRAFT)),
                folder=folder,
                session=session,
                tools=reviewer_tools(),
                budget_usd=ctx.run.budget.remaining_usd(ctx.cell.name, attempt.number),
                walled=walled,
            )
        )
        clones = [find_start(work.settings, name)[0].common_dir() for name in self.repositories]
        write_reader_launch(
            ctx,
            launch,
            folder,
            agent=work.settings.agents[attempt.agent],
            tree=tree,
            place=tree,
            read=tuple(clones),
            marker=marker,
            inside=ctx.mark_inside("its drafting agent", attempt.number),
            timeout=ctx.timeout,
        )
