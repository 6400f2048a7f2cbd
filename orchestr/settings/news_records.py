"""The settings of what happens outside a run: how specs are drafted, how pull requests are
followed, who gets the news.

Declared as in `orchestr.settings.records`, which holds them.
"""
# Types are real objects here, not texts: every start makes the table of keys from them.

from dataclasses import dataclass
from typing import Annotated

from orchestr.settings import keys
from orchestr.spec.declare import Doc


@dataclass(frozen=True, slots=True)
class DraftSettings:
    """How a spec is drafted from an intent (docs/draft.md)."""

    agent: Annotated[
        keys.Word | None, Doc("an entry of [agents.*]; default: `agents.default`", "my-agent")
    ] = None
    model: Annotated[keys.Word | None, Doc("passed to the agent", "my-model")] = None
    timeout: Annotated[
        keys.Duration | None, Doc("of one draft; default: `limits.timeout`", "20m")
    ] = None
    repair: Annotated[
        int, keys.count(0, 10), Doc("how often a draft with errors goes back to its agent")
    ] = 3


@dataclass(frozen=True, slots=True)
class FollowSettings:
    """How open pull requests are followed (docs/follow.md)."""

    trusted: Annotated[
        keys.Texts, Doc("logins whose comments count, beside those with write access", ["my-login"])
    ] = ()
    bots: Annotated[keys.Texts, Doc("bots whose comments count", ["my-bot"])] = ()
    bundle: Annotated[
        keys.Duration, Doc("how long after the last comment an agent is asked", "90s")
    ] = 90.0
    shortest: Annotated[keys.Duration, Doc("pause between two looks while things happen", "1m")] = (
        60.0
    )
    longest: Annotated[keys.Duration, Doc("pause between two looks when nothing does", "10m")] = (
        600.0
    )
    quota: Annotated[
        int, keys.count(1, 100), Doc("percent of the forge's hourly quota that may be used")
    ] = 60
    hands_off: Annotated[keys.Text, Doc("a pull request with this label is left alone")] = (
        "orchestr: hands off"
    )
    status: Annotated[
        keys.Flag, Doc("whether each head gets the commit status `orchestr/feature`")
    ] = True


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """What hears of a run's news: a command, and a POST to ``url``. None by default."""

    command: Annotated[
        keys.Texts, Doc("gets a run's news as JSON on its stdin", ["tools/notify.sh"])
    ] = ()
    url: Annotated[
        keys.HttpAddress | None,
        Doc("gets a run's news as the body of a POST", "https://hooks.example.org/x"),
    ] = None
    on: Annotated[keys.News, Doc("the news that are sent", ["failed"])] = keys.NEWS
    timeout: Annotated[keys.Duration, Doc("how long one of them may take", "10s")] = 10.0
    pass_env: Annotated[
        keys.Variables, Doc("variables of yours that the command may see", ["MY_TOKEN"])
    ] = ()

    @property
    def is_enabled(self) -> bool:
        return bool((self.command or self.url) and self.on)
