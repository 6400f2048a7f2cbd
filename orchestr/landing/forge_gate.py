"""What pull requests lack at their forge: reads facts, rules and owners.

What is wanted of them decides `orchestr.landing.requirements`; when it is asked,
`orchestr.landing.gate_landing`. Nothing is written at the forge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestr.cell.context import CellContext, FeatureRun, observed_prs
from orchestr.cell.worktree.ensure import base_branch
from orchestr.errors import UsageError
from orchestr.forges.base import Forge, PRState, PullRequest
from orchestr.forges.depends_on import parse_address
from orchestr.forges.followed import FollowingForge, PullRequestFacts, PullRequestKey, Verdict
from orchestr.forges.protection import BranchRules, ProtectingForge
from orchestr.forges.routed import forge_for
from orchestr.git.bases import find_base
from orchestr.git.runner import YES_OR_FATAL
from orchestr.landing.cell_paths import list_cell_paths
from orchestr.landing.codeowners import PLACES, list_owning_teams, parse_codeowners
from orchestr.landing.requirements import (
    Ownership,
    Requirement,
    Unmet,
    find_unmet,
    list_optional_red,
    read_last_verdicts,
)
from orchestr.state.results import NO_PR, PublishRecord

Allowed = frozenset[tuple[str, Requirement]]  # a change's key and what it may lack


@dataclass(frozen=True, slots=True)
class GateLook:
    """What one pull request lacks. ``optional_red`` are checks that no rule wants."""

    url: str
    unmet: tuple[Unmet, ...] = ()
    optional_red: tuple[str, ...] = ()


@dataclass(slots=True)
class ForgeGate:
    """The looks of one process; the rules of a branch are read once in it."""

    _rules: dict[tuple[str, str], BranchRules] = field(default_factory=dict)

    def look(self, cells: Sequence[CellContext]) -> dict[str, GateLook]:
        """Key of the cell -> what its open pull request lacks; cells without one are left out.

        One question to each forge for all of them. Raises ForgeAway, ForgeError, UsageError.
        """
        found: dict[str, GateLook] = {}
        asked: dict[PullRequestKey, CellContext] = {}
        for ctx in cells:
            done = PublishRecord.read(ctx.dir)
            if done is None or done.url == NO_PR:
                continue
            address = parse_address(done.url)
            if address is not None and _asks_facts(ctx):
                asked[PullRequestKey(ctx.repo_ref, address.number)] = ctx
            elif (pr := _observed_pr(ctx, done.url)) is not None:
                found[ctx.key] = self._judge(ctx, PullRequestFacts(pr, ""), BranchRules())
        for key, facts in _read_facts(asked).items():
            if facts.pr.state is PRState.OPEN:
                ctx = asked[key]
                found[ctx.key] = self._judge(ctx, facts, self._read_rules(ctx))
        return found

    def _judge(self, ctx: CellContext, facts: PullRequestFacts, rules: BranchRules) -> GateLook:
        wanted = wanted_requirements(ctx)
        owners = None
        if rules.codeowners or Requirement.CODEOWNERS in wanted:
            owners = _read_ownership(ctx, facts)
        unmet = find_unmet(facts, base_branch(ctx), rules, wanted, owners)
        red = list_optional_red(facts, rules) if Requirement.CHECKS not in wanted else []
        if not facts.node_id and facts.pr.checks == "failure":
            red = ["its CI"]
        return GateLook(facts.pr.url, unmet, tuple(red))

    def _read_rules(self, ctx: CellContext) -> BranchRules:
        key = (ctx.cell.repo, base_branch(ctx))
        forge = forge_for(ctx.run.forge, ctx.cell.repo)
        if key not in self._rules:
            self._rules[key] = (
                forge.read_branch_rules(ctx.repo_ref, key[1])
                if isinstance(forge, ProtectingForge)
                else BranchRules()
            )
        return self._rules[key]


def wanted_requirements(ctx: CellContext) -> frozenset[Requirement]:
    """What the settings want beside the forge's own rules."""
    own = ctx.repo_settings.land_requires
    words = ctx.run.settings.landing.land_requires if own is None else own
    return frozenset(Requirement(word) for word in words)


def _asks_facts(ctx: CellContext) -> bool:
    """Whether more is asked than what the run has seen. Raises UsageError where it cannot be."""
    forge, wanted = forge_for(ctx.run.forge, ctx.cell.repo), wanted_requirements(ctx)
    if wanted and not isinstance(forge, FollowingForge):
        raise UsageError(
            f"`land_requires` needs a forge that shows checks and reviews; {forge.kind} does not",
            hint=f"[repos.{ctx.cell.repo}] land_requires = [] in orchestr.toml",
        )
    protects = isinstance(forge, ProtectingForge) and isinstance(forge, FollowingForge)
    return bool(wanted) or protects


def _read_facts(
    asked: Mapping[PullRequestKey, CellContext],
) -> dict[PullRequestKey, PullRequestFacts]:
    """The facts of pull requests, each forge asked once about those of its own repositories: one
    that shows less than the others does not hide what these show."""
    by_forge: dict[int, tuple[Forge, list[PullRequestKey]]] = {}
    for key, ctx in asked.items():
        forge = forge_for(ctx.run.forge, ctx.cell.repo)
        by_forge.setdefault(id(forge), (forge, []))[1].append(key)
    found: dict[PullRequestKey, PullRequestFacts] = {}
    for forge, keys in by_forge.values():
        assert isinstance(forge, FollowingForge)
        found |= forge.read_facts(keys)
    return found


def _observed_pr(ctx: CellContext, url: str) -> PullRequest | None:
    prs = observed_prs(ctx.run, ctx.cell)
    return next((pr for pr in prs if pr.url == url and pr.state is PRState.OPEN), None)


def _read_ownership(ctx: CellContext, facts: PullRequestFacts) -> Ownership:
    """CODEOWNERS of the target, and who may speak for its teams: asked only where the approval of
    one is missing."""
    tip = find_base(ctx.repo, base_branch(ctx))
    text = ""
    for place in PLACES if tip is not None else ():
        done = ctx.repo.run_readonly("cat-file", "blob", f"{tip}:{place}", answers=YES_OR_FATAL)
        if done.code == 0:
            text = done.text
            break
    forge = forge_for(ctx.run.forge, ctx.cell.repo)
    teams: Mapping[str, frozenset[str]] = {}
    lines, paths = tuple(parse_codeowners(text)), frozenset(list_cell_paths(ctx))
    is_approved = Verdict.APPROVED in read_last_verdicts(facts).values()
    if is_approved and list_owning_teams(lines, paths) and isinstance(forge, ProtectingForge):
        teams = forge.read_review_teams(ctx.repo_ref, facts.pr.number)
    return Ownership(lines, paths, teams)


def find_allowed(
    runs: Sequence[FeatureRun], cells: Sequence[CellContext], gate: ForgeGate
) -> tuple[dict[str, str], Allowed]:
    """For `--allow-red`: feature -> what its pull requests lack, and these very things."""
    looks = gate.look(cells)
    reasons: dict[str, str] = {}
    allowed: set[tuple[str, Requirement]] = set()
    for run in runs:
        mine = [ctx for ctx in cells if ctx.run is run]
        lines = []
        for ctx in mine:
            unmet = looks[ctx.key].unmet if ctx.key in looks else ()
            allowed |= {(ctx.key, one.requirement) for one in unmet}
            if unmet:
                what = "; ".join(f"{one.requirement}: {one.text}" for one in unmet)
                lines.append(f"{looks[ctx.key].url}: {what}")
        if lines:
            reasons[run.feature.name] = "; ".join(lines)
    return reasons, frozenset(allowed)
