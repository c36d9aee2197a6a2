"""The drop folder is an open door: what leads out of it, never ends or unpacks without end is refused by name."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from datetime import date
from pathlib import Path

import pytest

from lakehouse.errors import DeliveryRefused
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import delivery
from lakehouse.landing import step as landing
from lakehouse.landing.delivery import OUTSIDE, Bounds, Unreadable, find_files, quoted
from lakehouse.pipeline import arrivals
from tests.support.small_source import settings_in, shop

SECRET = b"0123456789abcdef0123456789abcdef"
DAY = date(2018, 1, 5)
SMALL = Bounds(largest_file=50_000, largest_ratio=2)


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    (tmp_path / "drop").mkdir()
    return tmp_path / "drop"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that the pipeline can read and a sender cannot."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "connect_token.csv").write_bytes(SECRET)
    return tmp_path / "secrets" / "connect_token.csv"


def found_in(drop: Path, **bounds: int) -> delivery.Delivery:
    return find_files([drop], may_be_empty=True, bounds=Bounds(within=drop, **bounds))


class TestLinks:
    def test_a_link_to_a_file_elsewhere_is_refused_by_name_and_its_content_is_nowhere(
        self, tmp_path: Path, drop: Path, secret: Path
    ) -> None:
        (drop / "2018-01-05").mkdir()
        (drop / "2018-01-05" / "orders.csv").symlink_to(secret)
        (drop / "2018-01-05" / "words.csv").write_bytes(b"word\nhello\n")
        settings = settings_in(tmp_path).model_copy(update={"drop_dir": drop})
        logged: list[str] = []

        faults = found_in(drop).faults
        (landed,) = landing.land(Lakehouse(settings, shop()), [drop], log=logged.append, only=DAY)

        assert faults == [f"2018-01-05/orders.csv: {OUTSIDE}"]
        assert landed.changed == ("words",)
        assert logged == [f"ignored ({OUTSIDE}): 2018-01-05/orders.csv"]
        assert [each.batch_date for each in arrivals.dropped(settings) if SECRET.decode() in each.content] == []

    def test_a_link_to_a_folder_elsewhere_is_not_walked(self, drop: Path, secret: Path) -> None:
        (drop / "2018-01-05").symlink_to(secret.parent)
        (drop / "everything").symlink_to("/")

        found = found_in(drop)

        assert found.files == []
        assert found.faults == [f"drop/2018-01-05: {OUTSIDE}", f"drop/everything: {OUTSIDE}"]
        assert found.entries == 2

    def test_links_within_the_folder_are_followed(self, drop: Path) -> None:
        (drop / "2018-01-05").mkdir()
        (drop / "2018-01-05" / "orders.csv").write_bytes(b"order_id\n")
        (drop / "orders_2018-01-06.csv").symlink_to("2018-01-05/orders.csv")

        found = found_in(drop)

        assert [file.batch_date for file in found.files] == [date(2018, 1, 5), date(2018, 1, 6)]
        assert found.faults == []

    def test_without_a_drop_folder_links_lead_anywhere(self, tmp_path: Path, drop: Path, secret: Path) -> None:
        (drop / "orders.csv").symlink_to(secret)

        assert [file.path.name for file in find_files([drop]).files] == ["orders.csv"]

    def test_a_file_that_becomes_a_link_before_it_is_opened_is_not_read(self, drop: Path, secret: Path) -> None:
        (drop / "orders.csv").write_bytes(b"order_id\n")
        (file,) = found_in(drop).files
        (drop / "orders.csv").unlink()
        (drop / "orders.csv").symlink_to(secret)

        with pytest.raises(Unreadable, match=OUTSIDE), file.open_csv() as stream:
            stream.read()

    def test_a_folder_that_becomes_a_link_is_not_read_through(self, drop: Path, secret: Path) -> None:
        (drop / "2018-01-05").mkdir()
        (drop / "2018-01-05" / "connect_token.csv").write_bytes(b"order_id\n")
        (file,) = found_in(drop).files
        (drop / "2018-01-05").rename(drop / "away")
        (drop / "2018-01-05").symlink_to(secret.parent)

        with pytest.raises(Unreadable, match=OUTSIDE), file.open_csv() as stream:
            stream.read()


class TestWhatIsNoOrdinaryFile:
    def test_a_pipe_is_refused_and_not_waited_for(self, drop: Path) -> None:
        os.mkfifo(drop / "orders.csv")

        assert found_in(drop).faults == ["drop/orders.csv: is no ordinary file"]

    @pytest.mark.timeout(20)
    def test_a_file_that_becomes_a_pipe_is_not_waited_for(self, drop: Path) -> None:
        (drop / "orders.csv").write_bytes(b"order_id\n")
        (file,) = found_in(drop).files
        (drop / "orders.csv").unlink()
        os.mkfifo(drop / "orders.csv")

        with pytest.raises(Unreadable, match="no ordinary file"), file.open_csv() as stream:
            stream.read()

    def test_a_link_to_a_device_is_refused(self, drop: Path) -> None:
        (drop / "orders.csv").symlink_to("/dev/zero")

        assert found_in(drop).faults == [f"drop/orders.csv: {OUTSIDE}"]
        assert find_files([drop]).faults == ["drop/orders.csv: is no ordinary file"]

    def test_a_file_with_holes_is_refused(self, drop: Path) -> None:
        with (drop / "orders.csv").open("wb") as stream:
            stream.write(b"order_id\n")
            stream.truncate(1 << 30)
        (file,) = found_in(drop).files

        with pytest.raises(Unreadable, match="has holes"), file.open_csv() as stream:
            stream.read(1)

    def test_a_larger_file_than_the_limit_is_refused_unread(self, drop: Path) -> None:
        with (drop / "orders.csv").open("wb") as stream:
            stream.truncate(1 << 40)

        (fault,) = found_in(drop).faults

        assert fault.startswith("drop/orders.csv: has 1,099.5 GB, and 20.0 GB is the limit (LAKEHOUSE_LARGEST_FILE_GB")


class TestArchives:
    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(delivery, "ANY_RATIO_BELOW", 10_000)

    def test_a_zip_that_unpacks_to_too_much_is_refused_unread(self, drop: Path) -> None:
        with zipfile.ZipFile(drop / "2018-01-05.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(3):
                archive.writestr(f"orders{number}.csv", b"0" * 4_000)

        found = find_files([drop], bounds=SMALL)

        assert found.files == []
        assert found.faults == [
            "2018-01-05.zip: unpacks to 0.0 GB, and 0.0 GB is the limit (LAKEHOUSE_LARGEST_FILE_GB, "
            "LAKEHOUSE_LARGEST_RATIO)"
        ]
        assert found_in(drop).faults == []

    def test_a_zip_that_states_too_small_a_size_gives_no_more_than_that(self, drop: Path) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("orders.csv", b"0" * 60_000)
        stated, smaller = (number.to_bytes(4, "little") for number in (60_000, 100))
        assert buffer.getvalue().count(stated) == 2
        (drop / "2018-01-05.zip").write_bytes(buffer.getvalue().replace(stated, smaller))

        (file,) = find_files([drop], bounds=SMALL).files

        with pytest.raises(Unreadable), file.open_csv() as stream:
            assert len(stream.read()) <= 100

    @pytest.mark.parametrize("packed", ["orders.csv.gz", "orders.zip"])
    def test_a_gzip_is_read_up_to_the_limit(self, drop: Path, packed: str) -> None:
        content = gzip.compress(b"0" * 60_000)
        if packed.endswith(".zip"):
            with zipfile.ZipFile(drop / packed, "w") as archive:
                archive.writestr("orders.csv.gz", content)
        else:
            (drop / packed).write_bytes(content)

        (file,) = find_files([drop], bounds=SMALL).files

        read = 0
        with pytest.raises(Unreadable, match="unpacks to more"), file.open_csv() as stream:
            while chunk := stream.read(1000):
                read += len(chunk)
        assert read == 10_000

    def test_landing_refuses_it_with_the_files_name(self, tmp_path: Path, drop: Path) -> None:
        (drop / "orders_2018-01-05.csv.gz").write_bytes(gzip.compress(b"order_id,amount,note\n" + b"0" * 60_000))
        settings = settings_in(tmp_path).model_copy(update={"largest_ratio": 2, "largest_file_gb": 50e-6})

        with pytest.raises(DeliveryRefused, match=r"orders_2018-01-05.csv.gz: .*unpacks to more"):
            landing.land(Lakehouse(settings, shop()), [drop])


class TestNamesAndNumbers:
    def test_a_control_character_in_a_name_is_refused(self, drop: Path) -> None:
        (drop / "orders\n2018-01-05: fine.csv").write_bytes(b"order_id\n")
        with zipfile.ZipFile(drop / "2018-01-06.zip", "w") as archive:
            archive.writestr("ord\x1b[2Jers.csv", b"order_id\n")

        found = found_in(drop)

        assert found.files == []
        assert [fault.partition(": its name")[0] for fault in found.faults] == [
            r"2018-01-06.zip:ord\x1b[2Jers.csv",
            r"drop/orders\n2018-01-05: fine.csv",
        ]

    def test_folders_are_walked_to_a_depth(self, drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(delivery, "DEEPEST_FOLDER", 3)
        (drop / "1" / "2" / "3").mkdir(parents=True)
        (drop / "1" / "2" / "orders.csv").write_bytes(b"order_id\n")
        (drop / "1" / "2" / "3" / "orders.csv").write_bytes(b"order_id\n")

        found = found_in(drop)

        assert [file.path for file in found.files] == [drop / "1" / "2" / "orders.csv"]
        assert found.faults == ["2/3: is 3 folders deep"]

    def test_so_many_entries_are_looked_at(self, drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(delivery, "MOST_ENTRIES", 3)
        for number in range(5):
            (drop / f"orders{number}.csv").write_bytes(b"order_id\n")

        found = found_in(drop)

        assert len(found.files) == 3
        assert found.faults == ["more than 3 files and folders: the rest was not looked at"]

    def test_what_a_message_quotes_is_short_and_obeyed_by_no_terminal(self) -> None:
        assert quoted("a\nb\x1b[2J\udce7") == r"a\nb\x1b[2J\udce7"
        assert quoted("x" * 81) == "x" * 79 + "…"


class TestHeaders:
    def test_nothing_of_a_header_without_a_comma_is_quoted(self, tmp_path: Path, drop: Path) -> None:
        (drop / "orders_2018-01-05.csv").write_bytes(SECRET)

        with pytest.raises(DeliveryRefused) as refused:
            landing.land(Lakehouse(settings_in(tmp_path), shop()), [drop])

        assert "the delimiter must be a comma" in str(refused.value)
        assert SECRET.decode()[:8] not in str(refused.value)

    def test_few_columns_are_named_and_each_is_cut(self, tmp_path: Path, drop: Path) -> None:
        columns = ",".join(f"{number}\x1b{'x' * 100}" for number in range(1000))
        (drop / "orders_2018-01-05.csv").write_text(f"order_id,amount,note,{columns}\n")

        with pytest.raises(DeliveryRefused) as refused:
            landing.land(Lakehouse(settings_in(tmp_path), shop()), [drop])

        assert "980 more columns are unknown" in str(refused.value)
        assert "\x1b" not in str(refused.value)
        assert max(map(len, str(refused.value).splitlines())) < 200
