"""Failed logins of an address -> a pause for it. Without this, a program could try thousands of passwords a second.

Behind Docker Desktop or a proxy, all users have one address: then all of them pause.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from lakehouse_airflow.middleware import App, Receive, Scope, Send, refuse

# The form on the page, and the address where programs get a token.
LOGINS = ("/auth/login", "/auth/token")
FAILURES, SECONDS = 10, 60.0
# The addresses that are remembered; the one that failed longest ago is forgotten first.
ADDRESSES = 1000
REFUSAL = "Too many failed logins from this address. Wait a minute, then try again.\n"


class LoginLimit:
    """Middleware that answers a login with 429 once ten logins of its address have failed within a minute."""

    def __init__(self, app: App, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(LOGINS):
            await self._app(scope, receive, send)
            return
        address = scope["client"][0] if scope.get("client") else ""
        failures = self._recent(address)
        if len(failures) >= FAILURES:
            wait = max(1, round(failures[0] + SECONDS - self._clock()))
            await refuse(send, 429, REFUSAL, (b"retry-after", str(wait).encode()))
            return
        # Counted before the answer, so that requests at the same time do not all pass.
        at = self._clock()
        self._count(address, at)

        async def look(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start" and not _is_refused(message):
                self._forget(address, at)
            await send(message)

        await self._app(scope, receive, look)

    def _recent(self, address: str) -> deque[float]:
        failures = self._failures.get(address, deque())
        while failures and failures[0] <= self._clock() - SECONDS:
            failures.popleft()
        return failures

    def _count(self, address: str, at: float) -> None:
        self._failures.setdefault(address, deque()).append(at)
        self._failures.move_to_end(address)
        while len(self._failures) > ADDRESSES:
            self._failures.popitem(last=False)

    def _forget(self, address: str, at: float) -> None:
        failures = self._failures.get(address, deque())
        if at in failures:
            failures.remove(at)


def _is_refused(message: dict[str, object]) -> bool:
    """Whether this answer is that of a wrong password: 401, or the way back to the form."""
    headers: list[tuple[bytes, bytes]] = message.get("headers", [])  # type: ignore[assignment]
    target = next((value for name, value in headers if name.lower() == b"location"), b"")
    return message["status"] == 401 or (message["status"] in (302, 303) and b"/login" in target)
