"""jars.py keeps a fetched jar only if it is the one of the lock."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lakehouse.errors import SetupError
from lakehouse.settings import Settings
from lakehouse.spark import jars
from lakehouse.spark.jars import Jar, ensure_jars, read_lock

CONTENT = b"the content of a jar"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address and the folder of a Maven repository on this machine."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()
    thread.join()


def lock_of(monkeypatch: pytest.MonkeyPatch, *found: Jar) -> None:
    monkeypatch.setattr(jars, "read_lock", lambda: list(found))


def jar(content: bytes, artifact: str = "delta", part: str = "delta") -> Jar:
    return Jar(part, "io.delta", artifact, "1.0", hashlib.sha256(content).hexdigest())


def publish(folder: Path, published: Jar, content: bytes) -> None:
    path = folder / published.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def settings_for(tmp_path: Path, url: str) -> Settings:
    return Settings(_env_file=None, home=tmp_path / "home", maven_url=url, workspace="test")


def test_every_line_of_the_lock_is_a_jar_with_its_checksum() -> None:
    locked = read_lock()

    assert {"delta-spark_4.1_2.13-4.2.0.jar", "hadoop-aws-3.4.2.jar", "s3-2.29.52.jar"} <= {j.name for j in locked}
    assert {j.part for j in locked} == {"delta", "s3"}
    assert len({j.name for j in locked}) == len(locked)


def test_no_jar_of_the_lock_shadows_one_that_comes_with_spark() -> None:
    pyspark = pytest.importorskip("pyspark")
    own = {path.name.rsplit("-", 1)[0] for path in (Path(pyspark.__file__).parent / "jars").glob("*.jar")}

    assert len(own) > 100
    assert not {j.artifact for j in read_lock()} & own


def test_an_invalid_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("# delta\nabc  io.delta:delta:1.0\n")

    with pytest.raises(SetupError, match=r"abc  io\.delta:delta:1\.0"):
        read_lock(tmp_path / "lock")


def test_a_missing_jar_is_fetched_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: tuple[str, Path]
) -> None:
    url, folder = mirror
    lock_of(monkeypatch, jar(CONTENT))
    publish(folder, jar(CONTENT), CONTENT)
    settings = settings_for(tmp_path, url)

    [fetched] = ensure_jars(settings)
    (folder / jar(CONTENT).path).unlink()
    [again] = ensure_jars(settings)

    assert fetched == again
    assert fetched.read_bytes() == CONTENT


def test_a_damaged_jar_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: tuple[str, Path]
) -> None:
    url, folder = mirror
    lock_of(monkeypatch, jar(CONTENT))
    publish(folder, jar(CONTENT), CONTENT)
    settings = settings_for(tmp_path, url)
    settings.jars_path.mkdir(parents=True)
    (settings.jars_path / jar(CONTENT).name).write_bytes(CONTENT[:3])

    [fetched] = ensure_jars(settings)

    assert fetched.read_bytes() == CONTENT


def test_a_jar_that_differs_from_the_lock_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: tuple[str, Path]
) -> None:
    url, folder = mirror
    lock_of(monkeypatch, jar(CONTENT))
    publish(folder, jar(CONTENT), b"something else")
    settings = settings_for(tmp_path, url)

    with pytest.raises(SetupError, match=r"delta-1\.0\.jar: its SHA-256 is"):
        ensure_jars(settings)

    assert list(settings.jars_path.iterdir()) == []


def test_every_jar_that_cannot_be_fetched_is_named_with_the_setting_that_fixes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: tuple[str, Path]
) -> None:
    url, _ = mirror
    lock_of(monkeypatch, jar(CONTENT), jar(CONTENT, artifact="storage"))

    with pytest.raises(SetupError) as refused:
        ensure_jars(settings_for(tmp_path, url))

    assert "delta-1.0.jar: 404" in str(refused.value)
    assert "storage-1.0.jar: 404" in str(refused.value)
    assert "LAKEHOUSE_MAVEN_URL" in str(refused.value)


def test_without_a_network_the_setting_that_fixes_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: tuple[str, Path]
) -> None:
    lock_of(monkeypatch, jar(CONTENT))

    with pytest.raises(SetupError, match="LAKEHOUSE_MAVEN_URL"):
        ensure_jars(settings_for(tmp_path, "http://127.0.0.1:1"))


def test_the_s3_jars_are_fetched_only_for_a_lake_on_s3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: tuple[str, Path]
) -> None:
    url, folder = mirror
    needed, only_s3 = jar(CONTENT), jar(b"s3", artifact="s3", part="s3")
    lock_of(monkeypatch, needed, only_s3)
    publish(folder, needed, CONTENT)
    publish(folder, only_s3, b"s3")
    local = settings_for(tmp_path, url)
    on_s3 = local.model_copy(update={"bronze_url": "s3://bronze"})

    assert [path.name for path in ensure_jars(local)] == [needed.name]
    assert [path.name for path in ensure_jars(on_s3)] == [needed.name, only_s3.name]
