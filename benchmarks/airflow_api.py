"""Airflow's REST API at its published port."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any


class Api:
    """Of the Airflow at `address` (host:port), as whoever has logged in."""

    def __init__(self, address: str) -> None:
        self._root = f"http://{address}"
        self._token = ""

    def log_in(self, user: str, password: str) -> int:
        status, answer = self.ask("/auth/token", {"username": user, "password": password})
        self._token = answer.get("access_token", "")
        return status

    def ask(
        self, path: str, content: dict[str, Any] | None = None, method: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._root + path, headers=headers, method=method)
        if content is not None:
            request.data = json.dumps(content).encode()
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, {}

    def page(self, path: str) -> str:
        """What a browser would show."""
        request = urllib.request.Request(self._root + path, headers={"Authorization": f"Bearer {self._token}"})
        with urllib.request.urlopen(request, timeout=30) as response:
            text: str = response.read().decode()
        return text
