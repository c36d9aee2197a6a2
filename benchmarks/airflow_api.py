"""Airflow's REST API at its published port."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime
from typing import Any

TRIES = 10
PAGE = 100


class Api:
    """The API of the Airflow at `address` (host:port), as the user who has logged in."""

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

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """The runs of a DAG, the newest first, at most a hundred."""
        found: list[dict[str, Any]] = self._must(f"/api/v2/dags/{dag}/dagRuns?order_by=-run_after&limit=100")[
            "dag_runs"
        ]
        return found

    def tasks(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """The task instances of a run; those of a mapped task are listed one by one."""
        path = f"{path_of(run)}/taskInstances?limit=100"
        found: list[dict[str, Any]] = self._must(path)["task_instances"]
        return found

    def runs_since(self, moment: datetime) -> list[dict[str, Any]]:
        """All runs of all DAGs that were due since then."""
        return self._all("/api/v2/dags/~/dagRuns?order_by=id", "dag_runs", moment)

    def tasks_since(self, moment: datetime) -> list[dict[str, Any]]:
        """The task instances of these runs."""
        return self._all("/api/v2/dags/~/dagRuns/~/taskInstances?order_by=id", "task_instances", moment)

    def _all(self, path: str, kind: str, moment: datetime) -> list[dict[str, Any]]:
        since = urllib.parse.quote(moment.isoformat())
        found: list[dict[str, Any]] = []
        while True:
            page = self._must(f"{path}&run_after_gte={since}&limit={PAGE}&offset={len(found)}")[kind]
            found += page
            if len(page) < PAGE:
                return found

    def log(self, run: dict[str, Any], task: str, index: int = -1) -> list[str]:
        """The lines of a task's log, of its first try."""
        path = f"{path_of(run)}/taskInstances/{task}/logs/1?map_index={index}"
        return [str(line["event"]) for line in self._must(path)["content"]]

    def begin(self, dag: str, **conf: str) -> dict[str, Any]:
        """Start a run manually."""
        return self._must(f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})

    def end(self, run: dict[str, Any], state: str) -> None:
        """Mark a run, as a user does on its page."""
        self._must(path_of(run), {"state": state}, "PATCH")

    def pause(self, dag: str, is_paused: bool = True) -> None:
        self._must(f"/api/v2/dags/{dag}", {"is_paused": is_paused}, "PATCH")

    def _must(self, *question: Any) -> dict[str, Any]:
        """Ask, and again if the server fails: a restarted database has cut the connections that the server kept."""
        for attempt in range(1, TRIES + 1):
            status, answer = self.ask(*question)
            if status == 200:
                return answer
            if status < 500 or attempt == TRIES:
                break
            time.sleep(1)
        raise RuntimeError(f"{question} was answered with {status}: {answer}")

    def page(self, path: str) -> str:
        """The page as a browser gets it."""
        request = urllib.request.Request(self._root + path, headers={"Authorization": f"Bearer {self._token}"})
        with urllib.request.urlopen(request, timeout=30) as response:
            text: str = response.read().decode()
        return text


def path_of(run: dict[str, Any]) -> str:
    """The path of a run in the API."""
    return f"/api/v2/dags/{run['dag_id']}/dagRuns/{urllib.parse.quote(run['dag_run_id'], safe='')}"
