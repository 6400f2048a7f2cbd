"""What asking a host by a REST API needs, whatever the client: logins, connections, its lane."""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from orchestr.forges.base import ApiUsage, ForgeError, WaitListener
from orchestr.forges.rate_limit import PATIENCE, pacer_for_host
from orchestr.forges.remote_urls import ForgeAddress
from orchestr.forges.rest_answers import ApiAnswer
from orchestr.process.run import redact, secret_values


class RestClient(Protocol):
    """A connection with one login."""

    token: str


C = TypeVar("C", bound=RestClient)


@dataclass(slots=True)
class RestApi(Generic[C]):
    """The clients, the patience, and the counts of what was asked. For many threads.

    ``root`` is `[forge] url`.
    """

    root: str | None = None
    patience: float = PATIENCE
    stop: threading.Event | None = None
    on_wait: WaitListener | None = None
    usage: ApiUsage = field(default_factory=ApiUsage)
    _clients: dict[str, C] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    @abstractmethod
    def find_login(self, at: Any) -> Any:
        """The login for the host of ``at``, None without one; asks no network. Raises ForgeError
        where a file of logins cannot be read."""

    @abstractmethod
    def explain_login(self, at: Any) -> str:
        """What to do for a login at the host of ``at``."""

    @abstractmethod
    def make_client(self, at: Any, login: Any) -> C:
        """A connection to the forge of ``at``. Raises ForgeError."""

    def client_for(self, at: ForgeAddress) -> C:
        """The connection to the forge of ``at``, made once. Raises ForgeError without a login."""
        with self._mutex:
            if at.root not in self._clients:
                login = self.find_login(at)
                if login is None:
                    raise ForgeError(
                        f"there is no login for {at.host}", hint=self.explain_login(at)
                    )
                self._clients[at.root] = self.make_client(at, login)
            return self._clients[at.root]

    def send_in_lane(
        self, at: ForgeAddress, send: Callable[[], ApiAnswer], *, writes: bool, again: bool
    ) -> ApiAnswer:
        """Send in the turn of the host, see `RequestPacer.send_with_retries`."""
        lane = pacer_for_host(at.host, self.patience)
        return lane.send_with_retries(
            send, writes=writes, again=again, stop=self.stop, on_wait=self.on_wait
        )

    def hide_secrets(self, text: str) -> str:
        """What a host says, without secrets."""
        return redact(text, secret_values(os.environ) | {c.token for c in self._clients.values()})
