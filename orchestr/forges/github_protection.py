"""Protected branches at GitHub: protection rules and rulesets, read as one. See `ProtectingForge`.

One query a branch. Which rules there are may be read with write access, rulesets with read access;
what this login may not read leaves `BranchRules.is_known` False and is never taken for "none". A
host whose schema lacks a kind of rule has none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestr.forges import github_query as query
from orchestr.forges.base import RepoRef
from orchestr.forges.github_api import FieldUnknown
from orchestr.forges.github_base import GitHubBase
from orchestr.forges.protection import BranchRules

# What is asked, by the part of GitHub's schema that it needs: an older enterprise host cannot want
# what it does not know, and refuses a query with a field that it lacks.
_QUERY = """\
query($owner: String!, $name: String!, $ref: String!) {
  repository(owner: $owner, name: $name) {
    ref(qualifiedName: $ref) { FIELDS }
  }
  rateLimit { cost remaining }
}
"""
_OLD_RULE = """
      requiresStatusChecks requiredStatusCheckContexts
      requiresApprovingReviews requiredApprovingReviewCount requiresCodeOwnerReviews
"""
_RULE = f"{_OLD_RULE} requiresConversationResolution lockBranch"
_RULESETS = """
      rules(first: 100) { nodes { parameters {
        ... on RequiredStatusChecksParameters { requiredStatusChecks { context } }
        ... on PullRequestParameters {
          requiredApprovingReviewCount requireCodeOwnerReview requiredReviewThreadResolution
        }
      } } }
"""
RULES = tuple(
    _QUERY.replace("FIELDS", fields)
    for fields in (
        f"branchProtectionRule {{ {_RULE} }} {_RULESETS}",
        f"branchProtectionRule {{ {_RULE} }}",
        f"branchProtectionRule {{ {_OLD_RULE} }}",
    )
)
TEAMS = """\
query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviews(last: 100) {
        nodes { author { login } onBehalfOf(first: 10) { nodes { combinedSlug } } }
      }
    }
  }
  rateLimit { cost remaining }
}
"""
_OPTIONAL = ("branchProtectionRule", "rules")


class GitHubProtection(GitHubBase):
    """`ProtectingForge` of GitHub."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._rule_queries: dict[str, tuple[str, ...]] = {}  # host -> what it may understand

    def read_branch_rules(self, repo: RepoRef, branch: str) -> BranchRules:
        """See `ProtectingForge.read_branch_rules`."""
        slug = self.slug_for(repo)
        names = {"owner": slug.owner, "name": slug.name, "ref": f"refs/heads/{branch}"}
        queries = self._rule_queries.get(slug.host, RULES)
        for n, text in enumerate(queries):
            try:
                data, errors = self.api.send_partial_query(slug.host, text, names, _is_rule_error)
            except FieldUnknown:
                continue
            self._rule_queries[slug.host] = queries[n:]
            return parse_branch_rules(data, is_known=not errors)
        self._rule_queries[slug.host] = ()
        return BranchRules(is_known=False)

    def read_review_teams(self, repo: RepoRef, number: int) -> Mapping[str, frozenset[str]]:
        """See `ProtectingForge.read_review_teams`, of the last 100 reviews."""
        slug = self.slug_for(repo)
        names = {"owner": slug.owner, "name": slug.name, "number": number}
        data = self.api.send_graphql_query(slug.host, TEAMS, names)
        found: dict[str, set[str]] = {}
        try:
            for review in data["repository"]["pullRequest"]["reviews"]["nodes"]:
                if review["author"]:
                    teams = {str(team["combinedSlug"]) for team in review["onBehalfOf"]["nodes"]}
                    found.setdefault(str(review["author"]["login"]), set()).update(teams)
        except (KeyError, TypeError) as error:
            raise query.unreadable_error(error) from error
        return {login: frozenset(teams) for login, teams in found.items()}


def parse_branch_rules(data: Mapping[str, Any], *, is_known: bool = True) -> BranchRules:
    """Both kinds of protection as one: what any of them wants. Raises ForgeError. Pure."""
    try:
        ref = data["repository"]["ref"] or {}
        rule = ref.get("branchProtectionRule") or {}
        checks = list(rule.get("requiredStatusCheckContexts") or ())
        checks = checks if rule.get("requiresStatusChecks") else []
        approvals = [int(rule.get("requiredApprovingReviewCount") or 0)]
        approvals = approvals if rule.get("requiresApprovingReviews") else [0]
        owners = bool(rule.get("requiresApprovingReviews") and rule.get("requiresCodeOwnerReviews"))
        resolved = bool(rule.get("requiresConversationResolution"))
        for one in _list_parameters(ref):
            checks += [check["context"] for check in one.get("requiredStatusChecks") or ()]
            approvals.append(int(one.get("requiredApprovingReviewCount") or 0))
            owners = owners or bool(one.get("requireCodeOwnerReview"))
            resolved = resolved or bool(one.get("requiredReviewThreadResolution"))
        names = tuple(dict.fromkeys(map(str, checks)))
        locked = bool(rule.get("lockBranch"))
        return BranchRules(names, max(approvals), owners, resolved, locked, is_known)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise query.unreadable_error(error) from error


def _list_parameters(ref: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for node in (ref.get("rules") or {}).get("nodes") or ():
        if node and node.get("parameters"):
            yield node["parameters"]


def _is_rule_error(error: Any) -> bool:
    """What this login may not read; the branch is there all the same."""
    if not isinstance(error, dict) or (error.get("locations") and not error.get("type")):
        return False  # about the query, not about what it asks for
    return any(step in (error.get("path") or []) for step in _OPTIONAL)
