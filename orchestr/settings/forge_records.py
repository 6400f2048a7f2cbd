"""The settings of forges. Declared as in `orchestr.settings.records`, which holds them."""
# Types are real objects here, not texts: every start makes the table of keys from them.

from dataclasses import dataclass
from typing import Annotated

from orchestr.settings import keys
from orchestr.spec.declare import Doc


@dataclass(frozen=True, slots=True)
class ForgeSettings:
    """Where pull requests live, and whether they start as drafts."""

    kind: Annotated[keys.ForgeKindName, Doc("where pull requests live", "github")] = "local"
    draft: Annotated[keys.Flag, Doc("whether pull requests start as drafts")] = True
    program: Annotated[
        keys.Text | None, Doc("the client of kind `github`; default: `gh`", "gh")
    ] = None
    patience: Annotated[
        keys.Duration, Doc("how long one request to a hosted forge may wait", "5m")
    ] = 300.0
    url: Annotated[
        keys.Address | None,
        Doc(
            "of `gitlab`, `forgejo`, `gitea`: the address, where the remotes do not show it",
            "https://git.example.org/gitlab",
        ),
    ] = None
    ci: Annotated[
        keys.Text | None, Doc("of kind `local`: run in a checkout of each pushed head", "sh ci.sh")
    ] = None
    labels: Annotated[keys.Texts, Doc("every pull request gets these labels", ["agents"])] = ()
    reviewers: Annotated[
        keys.Texts, Doc("who is asked to review every pull request", ["my-org/sdk-team"])
    ] = ()
    assignees: Annotated[
        keys.Texts, Doc("who every pull request is assigned to", ["my-login"])
    ] = ()
    milestone: Annotated[keys.Text | None, Doc("the milestone of every pull request", "v2")] = None
