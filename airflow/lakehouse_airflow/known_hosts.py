"""The names under which Airflow's pages answer: a page elsewhere must not reach them under a name of its own.

A web page may let its own name point to 127.0.0.1 (DNS rebinding). The browser then sends its requests here, and
Airflow's login is known to everyone. Such a request names the page's host, so it is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from lakehouse_airflow.middleware import App, Receive, Scope, Send, refuse

# How this machine, the containers and Airflow's tasks call the server.
ALWAYS = frozenset({"localhost", "127.0.0.1", "::1", "airflow-api-server", "host.docker.internal"})
REFUSAL = (
    "Airflow does not answer under this name. If it is yours, add it to AIRFLOW_HOSTS in .env (separated by commas), "
    "then run: make up\n"
)


def known_hosts(environment: Mapping[str, str]) -> frozenset[str] | None:
    """The names; None: all names, since the stack listens beyond this machine, with a password of its own.

    AIRFLOW_HOSTS gives further names, AIRFLOW_URL is where people reach Airflow, BIND_ADDRESS where it listens.
    """
    given = {name.strip().casefold() for name in environment.get("AIRFLOW_HOSTS", "").split(",")} - {""}
    bound = environment.get("BIND_ADDRESS") or "127.0.0.1"
    if not given and not ip_address(bound).is_loopback:
        return None
    url = urlsplit(environment.get("AIRFLOW_URL", "")).hostname
    return ALWAYS | given | {bound} | ({url} if url else set())


class KnownHosts:
    """Middleware that refuses a request for another host with 421, which HTTP has for a misdirected request."""

    def __init__(self, app: App, hosts: Collection[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._hosts is None or scope["type"] not in ("http", "websocket") or host_of(scope) in self._hosts:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refuse(send, 421, REFUSAL)


def host_of(scope: Scope) -> str | None:
    """The host that a request names, without its port; None if it names none, or several."""
    named = [value for name, value in scope["headers"] if name == b"host"]
    if len(named) != 1:
        return None
    try:
        return urlsplit(f"//{named[0].decode('ascii')}").hostname
    except ValueError:
        return None
