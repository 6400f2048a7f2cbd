"""What is Forgejo's own: pages, drafts by the title, lost answers, logins, what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.forges import forgejo_merge, make_forge
from orchestr.forges.base import (
    ForeignAddress,
    ForgeAway,
    ForgeError,
    MergeMethod,
    PRExists,
    PRState,
    RepoRef,
)
from orchestr.forges.depends_on import parse_address
from orchestr.forges.followed import CheckState, Dressing, Verdict
from orchestr.forges.forgejo import ForgejoForge
from orchestr.forges.forgejo_actions import is_check_of
from orchestr.forges.forgejo_login import LoginPlaces, explain_login, find_login
from orchestr.forges.forgejo_protection import is_required_check
from orchestr.forges.forgejo_query import strip_draft, write_title
from orchestr.forges.forgejo_remote import RepoPath, parse_repo_url
from orchestr.forges.routed import RoutedForge
from orchestr.settings.loader import load_settings
from orchestr.testing.follow_world import Said, by_name
from orchestr.testing.forge_contract import git
from tests.forges.forgejo_stub import TOKEN, Forgejo
from tests.forges.forgejo_world import SLUG, ForgejoWorld


@pytest.fixture
def world(tmp_path: Path, forgejo: Forgejo, monkeypatch: pytest.MonkeyPatch) -> ForgejoWorld:
    monkeypatch.setattr(forgejo_merge, "PAUSE", 0.01)
    return ForgejoWorld(tmp_path, forgejo)


@pytest.mark.parametrize(
    ("url", "root", "expected"),
    [
        ("https://codeberg.org/o/n.git", None, ("https://codeberg.org", "o", "n")),
        ("git@codeberg.org:o/n", None, ("https://codeberg.org", "o", "n")),
        ("http://localhost:3000/o/n.git", None, ("http://localhost:3000", "o", "n")),
        ("ssh://git@h.org:2222/o/n.git", None, ("https://h.org", "o", "n")),
        (
            "ssh://git@h.org:2222/o/n.git",
            "https://h.org:8443/f",
            ("https://h.org:8443/f", "o", "n"),
        ),
        ("https://h.org/f/o/n.git", "https://h.org/f/", ("https://h.org/f", "o", "n")),
        ("https://h.org/o/n.git", "https://h.org/f", None),
        ("https://codeberg.org/o/n.git", "https://h.org/f", ("https://codeberg.org", "o", "n")),
        ("git@codeberg.org:o/n.git", "https://h.org/f", ("https://codeberg.org", "o", "n")),
        ("git@ssh.h.org:o/n.git", "https://h.org/f", ("https://h.org/f", "o", "n")),
        ("https://github.com/o/n.git", "https://h.org", None),
        ("git@ssh.github.com:o/n.git", None, None),
        ("https://h.org/f/o/n.git", None, None),
        ("https://h.org/../n.git", None, None),
        ("/srv/o/n.git", None, None),
    ],
)
def test_a_remote_names_a_repository(
    url: str, root: str | None, expected: tuple[str, str, str] | None
) -> None:
    assert parse_repo_url(url, root) == (RepoPath(*expected) if expected else None)


def test_a_draft_is_its_title() -> None:
    assert write_title("t", draft=True) == "WIP: t"
    assert write_title("[WIP] wip: t", draft=True, prefix="Draft: ") == "Draft: t"
    assert strip_draft("WIP: [Draft] WIPE it") == "WIPE it"


def test_contexts_are_names_or_patterns() -> None:
    assert not is_required_check("x", None)
    assert is_required_check("x", ())  # every one that reports
    assert is_required_check("ci/unit (pull_request)", ("ci/*",))
    assert not is_required_check("lint", ("ci/*", "unit"))


# --- logins --------------------------------------------------------------------------------------


def test_a_token_goes_to_the_host_that_it_is_for(tmp_path: Path) -> None:
    env = {"FORGEJO_TOKEN": "one", "GITEA_TOKEN": "two", "HOME": str(tmp_path)}
    forgejo, gitea = LoginPlaces("forgejo", None, env), LoginPlaces("gitea", None, env)
    own = LoginPlaces("forgejo", "https://git.example.org:8443/f", env)

    assert [find_login(host, forgejo) is not None for host in ("codeberg.org", "evil.org")] == [
        True,
        False,
    ]
    assert find_login("gitea.com", gitea) is not None
    assert find_login("codeberg.org", own) is None
    found = find_login("git.example.org:8443", own)
    assert found is not None
    assert (found.token, repr(found)) == ("one", "ForgejoLogin(source='$FORGEJO_TOKEN')")
    assert "FORGEJO_URL=https://evil.org" in explain_login("evil.org", forgejo)

    folder = tmp_path / ".config" / "tea"
    folder.mkdir(parents=True)
    (folder / "config.yml").write_text(
        "logins:\n- {name: a, url: 'https://evil.org/', token: abc}\n- 3\n"
    )
    tea = find_login("evil.org", forgejo)
    assert tea is not None
    assert tea.token == "abc"
    (folder / "config.yml").write_text("logins: [")
    with pytest.raises(ForgeError, match="no YAML"):
        find_login("evil.org", forgejo)


def test_no_token_is_sent_to_another_host(
    world: ForgejoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGEJO_URL", "https://codeberg.org")
    fresh = ForgejoForge()
    before = world.forgejo.total
    told = fresh.explain_unusable([world.repo], ask=True)
    assert told is not None
    assert "$FORGEJO_TOKEN is for codeberg.org" in told
    with pytest.raises(ForgeError, match="no login"):
        fresh.find_pull_requests(world.repo, ["one"])
    assert world.forgejo.total == before


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (401, "does not accept the login of $FORGEJO_TOKEN: user does not exist", "FORGEJO_TOKEN"),
        (403, "does not allow it: token does not have", "write:repository"),
        (404, "it is not there, or the login may not see it", "git remote -v"),
        (423, "is archived", None),
        (422, "what the host says", None),
    ],
)
def test_a_refusal_has_the_hosts_words_and_what_helps(
    world: ForgejoWorld, status: int, said: str, hint: str | None
) -> None:
    words = {401: "user does not exist [token " + TOKEN + "]", 403: "token does not have a scope",
             422: "what the host says"}  # fmt: skip
    world.forgejo.fail(status, kind="GET pulls", body={"message": words.get(status, "no")})
    with pytest.raises(ForgeError) as refused:
        world.forge.find_pull_requests(world.repo, ["one"])
    assert said in refused.value.message
    assert TOKEN not in refused.value.message
    assert hint is None or hint in str(refused.value.hint)


def test_a_moved_repository_says_where_to(world: ForgejoWorld) -> None:
    world.forgejo.fail(301, kind="GET pulls", headers={"Location": "https://h.org/new"})
    with pytest.raises(ForgeError, match=r"has moved: https://h\.org/new"):
        world.forge.find_pull_requests(world.repo, ["one"])


def test_limits_and_broken_answers_are_waited_for(world: ForgejoWorld) -> None:
    world.branch("one", "a")
    world.forgejo.fail(429, kind="GET pulls", headers={"Retry-After": "0"})
    world.forgejo.fail(503, kind="GET pulls")
    world.forgejo.fail(200, kind="GET pulls", body="<html>a proxy</html>")
    world.forgejo.fail(0, kind="GET pulls")
    assert world.states("one") == []


def test_a_forge_below_a_path(tmp_path: Path, forgejo: Forgejo) -> None:
    forgejo.below = "/forge"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FORGEJO_URL")
        world = ForgejoWorld(tmp_path, forgejo, root=forgejo.root)
        sha = world.branch("one", "a")
        number = world.pull("one")
        world.run_ci(sha, Said("unit", CheckState.FAILURE, ["no"]))
        red = by_name(world.facts(number).checks)["unit"]
        assert red.url.startswith(f"{forgejo.root}/{SLUG}/actions/")
        assert world.forge.read_check_log(world.repo, red) == "no"


# --- opening, lists ------------------------------------------------------------------------------


def test_a_list_of_several_pages_is_read_once_and_stays_true(world: ForgejoWorld) -> None:
    names = [f"b{n}" for n in range(5)]
    for name in names:
        world.branch(name, name)
        world.pull(name)
    world.forgejo.page_size = 2
    world.forge = ForgejoForge(patience=3)
    for n in (2, 3, 4):
        world.close(n)
    first = world.count_queries(lambda: world.forge.find_pull_requests(world.repo, names))
    sha = world.branch("b0", "more")
    world.reopen(3)
    world.branch("b9", "b9")
    world.pull("b9")

    found = world.forge.find_pull_requests(world.repo, [*names, "b9"])

    assert [found[name][0].state is PRState.OPEN for name in [*names, "b9"]] == [
        True, False, True, False, True, True,
    ]  # fmt: skip
    assert found["b0"][0].head_sha == sha
    again = world.count_queries(lambda: world.forge.find_pull_requests(world.repo, names))
    assert again <= first


@pytest.mark.parametrize(
    ("prefixes", "title"), [(["draft:"], "Draft: a title"), (["entwurf:"], "a title")]
)
def test_a_host_with_other_words_for_drafts(
    world: ForgejoWorld, prefixes: list[str], title: str
) -> None:
    world.forgejo.prefixes = prefixes
    world.branch("one", "a")
    number = world.pull("one")
    (pr,) = world.forge.find_pull_requests(world.repo, ["one"])["one"]
    assert (pr.title, pr.draft) == ("a title", title != "a title")
    assert world.forgejo.pull(number)["title"] == title
    assert not world.forge.mark_ready(world.repo, number).draft


def test_a_draft_that_is_edited_keeps_its_words(world: ForgejoWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.forgejo.change(number, title="[WIP] by a person")
    edited = world.forge.edit_pull_request(world.repo, number, title="new")
    assert (edited.title, edited.draft) == ("new", True)
    assert world.forgejo.pull(number)["title"] == "[WIP] new"


@pytest.mark.parametrize("status", [0, 502])
def test_a_lost_answer_opens_no_second_one(world: ForgejoWorld, status: int) -> None:
    world.branch("one", "a")
    world.forgejo.fail(status, kind="POST pulls", late=True)
    with pytest.raises(PRExists):
        world.pull("one")
    assert world.states("one") == [(1, PRState.OPEN)]


def test_a_request_that_was_not_carried_out_is_sent_again(world: ForgejoWorld) -> None:
    world.branch("one", "a")
    world.forgejo.fail(502, kind="POST pulls", times=2)
    assert world.pull("one") == 1
    world.branch("two", "b")
    world.forgejo.fail(502, kind="POST pulls", times=9)
    with pytest.raises(ForgeAway, match="not known"):
        world.pull("two")
    assert world.states("two") == []


def test_a_comment_whose_answer_was_lost_is_looked_for(world: ForgejoWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.forgejo.fail(502, kind="POST issues", late=True)
    with pytest.raises(ForgeAway):
        world.forge.comment_once(world.repo, number, "hello")
    world.forge.comment_once(world.repo, number, "hello")
    assert world.comments(number) == ["hello"]


def test_a_fork_opens_in_its_parent(world: ForgejoWorld, tmp_path: Path) -> None:
    fork = tmp_path / "fork.git"
    git(tmp_path, "clone", "-q", "--bare", str(world.origin), str(fork))
    world.forgejo.repos["me/platform"] = fork
    world.forgejo.parents["me/platform"] = SLUG
    url = f"{world.forgejo.root}/me/platform.git"
    git(world.clone, "config", f"url.{fork}.insteadOf", url)
    git(world.clone, "remote", "rename", "origin", "theirs")
    git(world.clone, "remote", "add", "origin", url)
    world.forge = ForgejoForge()  # it read the remotes as they were
    ref = RepoRef("platform", world.clone, upstream="theirs")
    assert world.forge.find_parent(ref) == f"{world.forgejo.root}/{SLUG}"
    world.branch("one", "a")

    made = world.forge.open_pull_request(
        ref, head="one", base="main", title="t", body="", draft=True
    )

    assert made.url == f"{world.forgejo.root}/{SLUG}/pulls/1"
    assert world.forge.find_pull_requests(ref, ["one"])["one"] == (made,)
    inside = RepoRef("platform", world.clone, remote="theirs")
    assert world.forge.find_pull_requests(inside, ["one"])["one"] == ()


# --- merging -------------------------------------------------------------------------------------


def test_a_merge_whose_answer_was_lost_is_done_once(world: ForgejoWorld) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    world.forgejo.fail(502, kind="POST pulls/N/merge", late=True)
    assert world.forge.merge_pull_request(world.repo, number, sha=sha).state is PRState.MERGED
    assert world.forgejo.requests["POST pulls/N/merge"] == 1


def test_one_that_is_not_judged_yet_is_waited_for_and_a_conflict_is_not(
    world: ForgejoWorld,
) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    world.forgejo.unsure = 3
    assert world.forge.merge_pull_request(world.repo, number, sha=sha).state is PRState.MERGED

    sha = world.branch("two", "same")
    world.branch("main", "same")
    number = world.pull("two")
    world.forgejo.forget_counts()
    with pytest.raises(ForgeError, match="in conflict with main"):
        world.forge.merge_pull_request(world.repo, number, sha=sha)
    assert world.forgejo.requests["POST pulls/N/merge"] == 1


def test_what_the_host_does_not_allow_it_says_itself(world: ForgejoWorld) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    world.forgejo.styles = {"merge"}
    with pytest.raises(ForgeError, match="squash is not allowed"):
        world.forge.merge_pull_request(world.repo, number, sha=sha, method=MergeMethod.SQUASH)
    world.forgejo.protected = "Does not have enough approvals"
    with pytest.raises(ForgeError, match="not have enough approvals"):
        world.forge.merge_pull_request(world.repo, number, sha=sha)
    assert world.states("one") == [(number, PRState.OPEN)]


def test_a_push_just_before_the_merge_is_not_merged(world: ForgejoWorld) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    world.forgejo.quicker = lambda: world.branch("one", "more")
    with pytest.raises(ForgeError, match="head out of date"):
        world.forge.merge_pull_request(world.repo, number, sha=sha)


def test_a_host_that_has_not_taken_in_the_push_yet_is_asked_again(world: ForgejoWorld) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    late = {"message": "head out of date"}
    world.forgejo.fail(409, 1, kind="POST pulls/N/merge", body=late)
    assert world.forge.merge_pull_request(world.repo, number, sha=sha).state is PRState.MERGED


def test_it_merges_by_itself_when_checks_are_green(world: ForgejoWorld) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    world.run_ci(sha, Said("unit", CheckState.PENDING))
    for _ in range(2):
        world.forge.enqueue_pull_request(world.repo, number, sha=sha)
        assert world.forge.is_queued(world.repo, number)
    world.forgejo.report_check(sha, "unit", "SUCCESS")
    assert not world.forge.is_queued(world.repo, number)
    assert world.states("one") == [(number, PRState.MERGED)]
    with pytest.raises(ForgeError, match="its head is"):
        world.branch("two", "b")
        world.forge.enqueue_pull_request(world.repo, world.pull("two"), sha=sha)


def test_a_target_that_was_pushed_is_marked_where_that_is_allowed(world: ForgejoWorld) -> None:
    world.forgejo.autodetect = False
    world.branch("one", "a")
    number = world.pull("one")
    git(world.clone, "push", "-q", "origin", "one:main")
    assert world.states("one") == [(number, PRState.OPEN)]
    assert world.forge.mark_merged(world.repo, number).state is PRState.OPEN
    world.forgejo.manual = True
    for _ in range(2):
        assert world.forge.mark_merged(world.repo, number).state is PRState.MERGED


def test_protection_is_read_from_the_branch(world: ForgejoWorld) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    assert world.forge.read_branch_rules(world.repo, "main").approvals == 0
    world.forgejo.protection["main"] = {"contexts": ["unit", "lint/*"], "approvals": 2}
    rules = world.forge.read_branch_rules(world.repo, "main")
    assert (rules.checks, rules.approvals, rules.is_known) == (("unit",), 2, True)

    world.run_ci(sha, Said("lint/js", CheckState.SUCCESS), Said("docs", CheckState.CANCELLED))
    world.review(number, Verdict.APPROVED, "")
    facts = world.facts(number)
    assert {c.name: (c.is_required, c.state) for c in facts.checks} == {
        "lint/js": (True, CheckState.SUCCESS),
        "docs": (False, CheckState.CANCELLED),
    }
    assert facts.pr.review == "review_required"
    world.review(number, Verdict.APPROVED, "", author="ruth")
    assert world.facts(number).pr.review == "approved"
    world.forgejo.said[f"{SLUG}#{number}"][0]["dismissed"] = True
    assert world.facts(number).pr.review == "review_required"


def test_reviews_that_are_not_shown_end_no_list(world: ForgejoWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    for _ in range(3):
        world.forgejo.review(number, "PENDING", "not sent yet")
    world.review(number, Verdict.APPROVED, "fine")
    world.forgejo.page_size = 2
    world.forge = ForgejoForge()
    assert [review.comment.body for review in world.facts(number).reviews] == ["fine"]


# --- what only some hosts have -------------------------------------------------------------------


@pytest.mark.parametrize("flavour", ["gitea", "forgejo", "old"])
def test_an_answer_at_a_place_whatever_call_there_is(world: ForgejoWorld, flavour: str) -> None:
    world.forgejo.flavour = flavour
    world.branch("one", "a")
    number = world.pull("one")
    world.say(number, "why?", path="a", line=1)
    thread = world.thread(number, "a")
    for _ in range(2):
        world.forge.answer_once(world.repo, number, thread, "because", "k1")
    after = world.thread(number, "a")
    assert after.id == thread.id
    assert [comment.is_ours for comment in after.comments] == [False, True]


def test_a_host_without_calls_for_jobs(world: ForgejoWorld) -> None:
    sha = world.branch("one", "a")
    number = world.pull("one")
    world.run_ci(sha, Said("unit", CheckState.FAILURE, ["expected 768"]))
    red = by_name(world.facts(number).checks)["unit"]
    world.forgejo.flavour = "old"
    assert world.forge.read_check_log(world.repo, red) == "expected 768"
    with pytest.raises(ForgeError, match="no call to run unit again") as refused:
        world.forge.rerun_check(world.repo, red)
    assert refused.value.hint == f"see {red.url}"

    world.forgejo.flavour = "forgejo"
    assert world.forge.read_check_log(world.repo, red) == "expected 768"
    for _ in range(2):  # one that runs already is running again
        world.forge.rerun_check(world.repo, red)
    assert by_name(world.facts(number).checks)["unit"].state is CheckState.PENDING


def test_a_check_is_of_the_job_that_it_names() -> None:
    assert is_check_of("CI / test (java, 17) (push)", "test (java, 17)")
    assert not is_check_of("CI / test (java, 17) (push)", "test")
    assert is_check_of("unit", "unit")


def test_who_is_not_known_is_said_in_words(world: ForgejoWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.forgejo.milestones = ["v1"]
    asked = Dressing(("big",), ("nobody", "my-org/none", "rita"), ("who",), "v2")
    told = world.forge.dress_pull_request(world.repo, number, asked)
    assert [line.partition(":")[0] for line in told] == [
        "reviewer nobody", "reviewer my-org/none", "assignee who", "milestone v2",
    ]  # fmt: skip
    assert not world.forge.dress_pull_request(world.repo, number, Dressing(milestone="v1"))
    pull = world.forgejo.pull(number)
    assert (pull["reviewers"], pull["milestone"]) == (["rita"], "v1")


def test_an_issue_with_what_writers_said(world: ForgejoWorld) -> None:
    address = f"{world.forgejo.root}/{SLUG}/issues/500"
    for name in ("rita", "mallory"):
        world.forgejo.say(500, f"by {name}", name, SLUG)
    issue = world.forge.read_issue(address)
    assert (issue.title, issue.comments) == ("An issue", ("rita: by rita",))
    for foreign in ("https://github.com/o/r/issues/1", "notes.md"):
        with pytest.raises(ForeignAddress):
            world.forge.read_issue(foreign)


@pytest.mark.parametrize(
    ("kind", "other", "roots"),
    [("gitea", "local", ["https://h.org/f"]), ("gitlab", "forgejo", ["https://h.org/f", None]),
     ("github", "forgejo", [None, "https://h.org/f"])],
)  # fmt: skip
def test_an_address_is_for_the_kind_that_can_have_one(
    tmp_path: Path, kind: str, other: str, roots: list[str | None]
) -> None:
    (tmp_path / "orchestr.toml").write_text(
        f'[agents.a]\nkind = "command"\nrun = ["true"]\n[forge]\nkind = "{kind}"\n'
        f'url = "https://h.org/f"\n[repos.sdk]\nforge = "{other}"\n'
    )
    forge = make_forge(load_settings(tmp_path, {}))
    assert isinstance(forge, RoutedForge)
    assert forge.kind == f"{kind}+{other}"
    found = [getattr(member, "root", None) for member in forge.members]
    assert found[: len(roots)] == roots


def test_its_addresses_are_read() -> None:
    plain = parse_address("https://codeberg.org/o/n/pulls/12")
    below = parse_address("https://h.org:8443/f/g/o/n/pulls/3")
    assert plain is not None
    assert below is not None
    assert (plain.host, plain.repository, plain.number) == ("codeberg.org", "o/n", 12)
    assert (below.host, below.repository, below.ref) == (
        "h.org:8443/f/g",
        "o/n",
        "refs/pull/3/head",
    )
    assert parse_address("https://codeberg.org/n/pulls/12") is None
