"""What stands before Airflow's pages: only known names reach them, failed logins are limited, nothing else frames them.

lakehouse_airflow/known_hosts.py, login_limit.py, bounded_conf.py and headers.py say why and how.
"""

from __future__ import annotations

import os

from airflow.plugins_manager import AirflowPlugin

from lakehouse_airflow.bounded_conf import BoundedConf
from lakehouse_airflow.headers import Headers
from lakehouse_airflow.known_hosts import KnownHosts, known_hosts
from lakehouse_airflow.login_limit import LoginLimit


class GuardedPages(AirflowPlugin):
    """Wraps everything that the api-server serves. Airflow puts each of these around those before it."""

    name = "guarded_pages"
    fastapi_root_middlewares = [  # noqa: RUF012 - Airflow's declaration
        {"middleware": BoundedConf, "args": [], "kwargs": {}, "name": "bounded conf"},
        {"middleware": LoginLimit, "args": [], "kwargs": {}, "name": "login limit"},
        {"middleware": KnownHosts, "args": [], "kwargs": {"hosts": known_hosts(os.environ)}, "name": "known hosts"},
        {"middleware": Headers, "args": [], "kwargs": {}, "name": "headers"},
    ]
