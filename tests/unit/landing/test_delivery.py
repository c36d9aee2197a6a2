"""find_files returns every file under the paths of a delivery, or a fault that names what cannot be read."""

from __future__ import annotations

import os
import socket
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from lakehouse.landing.delivery import HIDDEN, NOT_CSV, find_files

PLAIN_USER = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder. No folder around it has a date in its name."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """The same, but every user may read it: only its owner may read tmp_path."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@contextmanager
def as_a_plain_user() -> Iterator[None]:
    """Drop root's permissions meanwhile, since root may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(PLAIN_USER)
    try:
        yield
    finally:
        os.seteuid(user)


def put(path: Path, content: bytes = b"a\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def found(*paths: Path) -> list[tuple[str, date | None]]:
    """Name and batch date of each file of a delivery without faults."""
    delivery = find_files(paths)
    assert delivery.faults == []
    return [(file.shown, file.batch_date) for file in delivery.files]


def test_a_folder_that_cannot_be_read_is_a_fault_beside_the_files_that_can(open_folder: Path) -> None:
    put(open_folder / "2018-01-01" / "orders.csv")
    closed = put(open_folder / "2018-01-02" / "orders.csv").parent
    closed.chmod(0)

    with as_a_plain_user():
        delivery = find_files([open_folder])
    closed.chmod(0o755)

    assert [file.shown for file in delivery.files] == ["2018-01-01/orders.csv"]
    assert delivery.faults == [f"{open_folder.name}/2018-01-02: cannot be read (Permission denied)"]


def test_a_path_through_a_folder_without_permission_is_a_fault(open_folder: Path) -> None:
    closed = put(open_folder / "closed" / "orders.csv").parent
    (open_folder / "2018-01-01").mkdir()
    (open_folder / "2018-01-01" / "more").symlink_to(closed / "deeper")
    closed.chmod(0)

    with as_a_plain_user():
        given = find_files([closed / "orders.csv"])
        linked = find_files([open_folder / "2018-01-01"])
    closed.chmod(0o755)

    assert given.faults == [f"{closed}/orders.csv: cannot be read (Permission denied)"]
    assert linked.faults == ["2018-01-01/more: cannot be read (Permission denied)"]


def test_a_link_to_a_folder_is_followed_under_its_own_name(folder: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "orders.csv")
    for day in ("2018-01-01", "2018-01-02"):
        (folder / day).mkdir()
        (folder / day / "more").symlink_to(tmp_path / "elsewhere")

    assert found(folder) == [("more/orders.csv", date(2018, 1, 1)), ("more/orders.csv", date(2018, 1, 2))]


def test_a_link_back_to_an_enclosing_folder_is_not_followed(folder: Path) -> None:
    put(folder / "2018-01-01" / "orders.csv")
    (folder / "2018-01-01" / "up").symlink_to(folder)
    (folder / "2018-01-01" / "here").symlink_to(".")

    assert found(folder) == [("2018-01-01/orders.csv", date(2018, 1, 1))]


def test_a_link_to_nothing_or_to_itself_is_a_fault(folder: Path) -> None:
    (folder / "orders.csv").symlink_to("gone.csv")
    (folder / "more").symlink_to("not-mounted")
    (folder / "words.csv").symlink_to("words.csv")
    (folder / ".#orders.csv").symlink_to("what Emacs leaves while a file is open")

    assert find_files([folder]).faults == [
        "in/more: is a link to nothing",
        "in/orders.csv: is a link to nothing",
        "in/words.csv: cannot be read (Too many levels of symbolic links)",
    ]


def test_a_pipe_is_a_fault_and_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "orders.csv")

    assert find_files([folder]).faults == ["in/orders.csv: is no ordinary file"]


def test_what_is_clearly_no_delivery_is_ignored_and_named(folder: Path) -> None:
    put(folder / "orders.csv")
    put(folder / ".git" / "config")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(os.path.relpath(folder / "plug"))

        delivery = find_files([folder])

    assert [file.name for file in delivery.files] == ["orders.csv"]
    assert delivery.ignored == {HIDDEN: [".git"], NOT_CSV: ["plug"]}


def test_a_name_that_is_no_utf8_is_shown_escaped_and_stops_nothing(folder: Path) -> None:
    odd = os.fsdecode(b"exporta\xe7\xe3o 2018-01-02")
    put(folder / odd / "orders.csv")
    put(folder / os.fsdecode(b"relat\xf3rio.txt"))

    delivery = find_files([folder])

    assert [(file.shown, file.batch_date) for file in delivery.files] == [
        (r"exporta\udce7\udce3o 2018-01-02/orders.csv", date(2018, 1, 2))
    ]
    assert delivery.ignored == {NOT_CSV: [r"relat\udcf3rio.txt"]}


def test_a_member_that_leads_out_of_its_zip_is_a_fault_and_not_hidden(folder: Path) -> None:
    with zipfile.ZipFile(folder / "2018-01-02.zip", "w") as archive:
        archive.writestr("../orders.csv", "a\n")

    delivery = find_files([folder])

    assert (delivery.files, delivery.ignored) == ([], {})
    assert delivery.faults == ["2018-01-02.zip:../orders.csv: its name leads out of the archive; pack it again"]
