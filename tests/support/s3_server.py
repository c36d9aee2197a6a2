"""An S3 store in this process: moto's server with one bucket per layer; on request, one that lies."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import urllib3
from minio import Minio
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

BUCKETS = ("landing", "bronze", "silver")


@contextmanager
def s3_settings(address: str = "127.0.0.1", ignores: str | None = None) -> Iterator[dict[str, Any]]:
    """The settings for the store. `ignores`: a header of conditional writes that the store does not know."""
    put_object, alone = S3Response.put_object, threading.Lock()

    def put_object_atomically(response: S3Response) -> Any:
        if ignores:
            response.headers = {name: value for name, value in response.headers.items() if name != ignores}
        with alone:  # moto checks the condition first and puts afterwards
            return put_object(response)

    # Credentials and proxies of the machine must not reach moto's server.
    environment = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "NO_PROXY": "*"}
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch.object(S3Response, "put_object", put_object_atomically),
    ):
        server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
        server.start()
        try:
            host, port = server.get_host_and_port()
            urllib3.request(
                "POST", f"http://{host}:{port}/moto-api/reset"
            )  # the workspace is the process's, not the server's
            client = Minio(f"{host}:{port}", "test-user", "test-password", secure=False, region="us-east-1")
            for bucket in BUCKETS:
                client.make_bucket(bucket)
            yield {
                "s3_endpoint": f"http://{host}:{port}",
                "s3_access_key": "test-user",
                "s3_secret_key": "test-password",
                **{f"{bucket}_url": f"s3://{bucket}/lake" for bucket in BUCKETS},
            }
        finally:
            server.stop()
