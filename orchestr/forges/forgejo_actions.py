"""Jobs of Actions at a Forgejo: the log of one that is red, and another run of it.

A check of Actions names run and job in its address. Gitea's API and that of Forgejo from 16 on give
the jobs of a commit, their logs and another run. Of older ones the log is read where people
download it (of public repositories), and a run is begun again on the page or by a push.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from orchestr.forges.base import ForgeError, RepoRef
from orchestr.forges.ci_log import LOG_LIMIT, keep_end
from orchestr.forges.followed import CiCheck
from orchestr.forges.forgejo_base import ForgejoBase
from orchestr.forges.forgejo_remote import RepoPath
from orchestr.forges.rest_answers import RequestMissing, RequestRefused

_DONE = ("completed", "success", "failure", "cancelled", "skipped")  # states of a job that ended


class ForgejoActions(ForgejoBase):
    """The part of `FollowingForge` that is about CI."""

    def read_check_log(self, repo: RepoRef, check: CiCheck) -> str:
        """See `FollowingForge.read_check_log`. A status of another program has no log here."""
        if not check.id:
            return check.summary
        path = self.path_for(repo)
        job = self._find_job(path, check)
        try:
            if job is not None:
                log = self.api.fetch_text(path, f"{path.api}/actions/jobs/{job['id']}/logs")
            else:
                page = check.url.removeprefix(path.root)
                log = self.api.fetch_text(path, f"{page}/logs", api=False)
        except RequestRefused:
            return check.summary
        return self.api.hide_secrets(keep_end(strip_times(log), LOG_LIMIT))

    def rerun_check(self, repo: RepoRef, check: CiCheck) -> None:
        """See `FollowingForge.rerun_check`. One that runs already is running again."""
        if not check.id:
            raise ForgeError(f"{check.name} is no job of Actions: it cannot be run again from here")
        path = self.path_for(repo)
        job = self._find_job(path, check)
        if job is None:
            raise self._no_call(path, check)
        ways = (
            f"{path.api}/actions/runs/{job['run']}/jobs/{job['id']}/rerun",  # Gitea's
            f"{path.api}/actions/jobs/{job['id']}/rerun",  # Forgejo's
        )
        for where in ways:
            try:
                self.api.send_request(path, "POST", where, again=False)
            except RequestMissing:
                continue
            except RequestRefused:
                row = self.api.send_request(path, "GET", f"{path.api}/actions/jobs/{job['id']}")
                if row.get("status") in _DONE:
                    raise
            return
        raise self._no_call(path, check)

    def _no_call(self, path: RepoPath, check: CiCheck) -> ForgeError:
        what = f"{path.host} has no call to run {check.name} again"
        return ForgeError(what, hint=f"see {check.url}")

    def _find_job(self, path: RepoPath, check: CiCheck) -> Mapping[str, Any] | None:
        """The job behind a check, by its address or its name; None where the host tells no jobs."""
        sha, page = check.id.split("/")[0], urlsplit(check.url).path
        named = []
        try:
            for job in self._list_jobs(path, sha, page):
                if urlsplit(str(job.get("html_url") or "")).path == page:
                    return job
                if is_check_of(check.name, str(job["name"])):
                    named.append(job)
        except RequestRefused:
            return None
        return named[-1] if named else None

    def _list_jobs(self, path: RepoPath, sha: str, page: str) -> Iterator[Mapping[str, Any]]:
        """The jobs of the run whose page holds ``page``; of all runs of the commit where the host
        does not say which one that is."""
        size = self.api.read_page_size(path)
        asked = f"{path.api}/actions/runs?head_sha={sha}&limit={size}&page=1"
        runs = (self.api.send_request(path, "GET", asked) or {}).get("workflow_runs") or ()
        mine = [run for run in runs if run.get("html_url")
                and page.startswith(f"{urlsplit(str(run['html_url'])).path}/")]  # fmt: skip
        for run in mine or runs:
            where = f"{path.api}/actions/runs/{run['id']}/jobs?limit={size}&page=1"
            answer = self.api.send_request(path, "GET", where)
            jobs = answer.get("jobs") if isinstance(answer, dict) else answer
            for job in jobs or ():
                yield {**job, "run": run["id"]}


def is_check_of(check: str, job: str) -> bool:
    """Whether a check (`CI / unit (push)`) is of the job of a name (`unit`). Pure."""
    return check == job or check.rpartition(" (")[0].endswith(f" / {job}")


def strip_times(log: str) -> str:
    """A log without the time that each of its lines begins with."""
    lines = []
    for line in log.replace("\r\n", "\n").split("\n"):
        first, blank, rest = line.partition(" ")
        stamped = blank and first.endswith("Z") and first[:4].isdigit() and "T" in first
        lines.append(rest if stamped else line)
    return "\n".join(lines).strip("\n")
