"""Airflow answers only under names that it knows: lakehouse_airflow/known_hosts.py says why, and which."""

from __future__ import annotations

import os

from airflow.plugins_manager import AirflowPlugin

from lakehouse_airflow.known_hosts import KnownHosts, known_hosts


class KnownHostsOnly(AirflowPlugin):
    """Wraps everything that the api-server serves."""

    name = "known_hosts_only"
    fastapi_root_middlewares = [  # noqa: RUF012 - Airflow's declaration
        {"middleware": KnownHosts, "args": [], "kwargs": {"hosts": known_hosts(os.environ)}, "name": "known hosts"}
    ]
