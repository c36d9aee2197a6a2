"""What is not a CSV in UTF-8 with commas -> what it is, and what to do: by its first bytes, or by its name.

A file that is in another wrapping or format must not be left out without a word, and its bytes must not be reported as
broken quoting.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from lakehouse.landing.dates import without_date

# So many bytes of a file say what it is.
HEAD = 4096

_BOM = b"\xef\xbb\xbf"
_UNPACK = "unpack it, or compress it with gzip"
# First bytes -> what the file is, and what to do.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xfe\x00\x00", "is UTF-32: save it as UTF-8"),
    (b"\x00\x00\xfe\xff", "is UTF-32: save it as UTF-8"),
    (b"\xff\xfe", "is UTF-16: save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16: save it as UTF-8"),
    (b"\x1f\x8b", "is compressed with gzip, but is not named .csv.gz: rename it"),
    (b"BZh", f"is compressed with bzip2: {_UNPACK}"),
    (b"\xfd7zXZ\x00", f"is compressed with xz: {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"is compressed with zstd: {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it, or send a zip"),
    (b"PAR1", "is Parquet: save it as CSV"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Excel workbook: save it as CSV in UTF-8"),
    (b"%PDF", "is a PDF: save it as CSV"),
    (b"SQLite format 3\x00", "is a SQLite database: export its tables as CSV"),
    (b"version https://git-lfs.github.com/spec/", "is a Git LFS pointer, not the file itself: run `git lfs pull`"),
)
_MARKUP = re.compile(rb"\s*(?:<!doctype\s+html|<html|<head|<body|<\?xml|<!--)", re.IGNORECASE)
_JSON = re.compile(rb'\s*(?:\[\s*)?\{\s*"')
_SEP_LINE = re.compile(rb'"?sep=(.)"?\r?\n', re.IGNORECASE)
_DELIMITERS = {b";": "a semicolon", b"\t": "a tab", b"|": "a vertical bar", b":": "a colon", b"^": "a caret"}

_ARCHIVES = re.compile(r"\.(?:7z|rar|tar|tgz|tbz2?|txz|tzst|tar\.\w+|zipx|z\d\d)$", re.IGNORECASE)
_COMPRESSED = re.compile(r"\.(?:bz2|xz|lzma|zst|zstd|lz4|br|z|lzo)$", re.IGNORECASE)
_UNFINISHED = re.compile(
    r"\.(?:crdownload|part|partial|filepart|download|opdownload|tmp|temp|incomplete)$", re.IGNORECASE
)
# As `split` names them: .csvaa, .csv.ab, .csv.001.
_PART = re.compile(r"\.csv(?:\.gz)?(?:\.?[a-z]{2}|[a-z]{3}|\.\d{2,4}|\.part-?\d+)$", re.IGNORECASE)
# What programs add to the name of a copy.
_COPY = re.compile(r"(?: \(\d+\)| - copy|_copy)$", re.IGNORECASE)
_OTHER_FORMATS = {
    "xlsx": "an Excel workbook",
    "xlsm": "an Excel workbook",
    "xlsb": "an Excel workbook",
    "xls": "an Excel workbook",
    "ods": "a spreadsheet",
    "numbers": "a spreadsheet",
    "parquet": "Parquet",
    "feather": "Feather",
    "avro": "Avro",
    "orc": "ORC",
    "json": "JSON",
    "jsonl": "JSON",
    "ndjson": "JSON",
    "xml": "XML",
    "tsv": "separated by tabs",
    "psv": "separated by bars",
    "txt": "text with another name than .csv",
    "dat": "data with another name than .csv",
}


def is_not_a_csv(head: bytes, columns: Collection[str]) -> str | None:
    """What a file is, by its first bytes, and what to do; None if it may be a CSV in UTF-8 with commas.

    `columns`: the names that its table may have, in lower case.
    """
    if head.startswith(b"PK\x03\x04"):
        if b"[Content_Types].xml" in head or b"xl/" in head:
            return "is an Excel workbook: save it as CSV in UTF-8"
        return "is a zip, but is not named .zip: rename it"
    for magic, of_magic in _MAGIC:
        if head.startswith(magic):
            return of_magic
    if head.startswith(_BOM * 2):
        return "begins with two byte order marks (BOM): its sender joined or saved it twice; remove one"
    if what := _zeros(head):
        return what
    text = head.removeprefix(_BOM)
    if _MARKUP.match(text):
        return "is HTML or XML, perhaps the page of a login or of an error: fetch the file again"
    if _JSON.match(text):
        return "is JSON: save it as CSV"
    if found := _SEP_LINE.match(text):
        delimiter = _DELIMITERS.get(found[1])
        more = f", and use commas instead of {delimiter}" if delimiter else ""
        return f"begins with a line `sep=`, which only Excel reads: remove this line{more}"
    return _other_delimiter(text, columns)


def is_wrapped(name: str, tables: Collection[str], *, is_dropped: bool) -> str | None:
    """What a file that is neither .csv nor .csv.gz nor .zip is, and what to do; None if it is just no table.

    `tables`: the accepted file names in lower case, without .csv. `is_dropped`: it is in the drop folder, where a
    transfer that goes on is no fault.
    """
    if _ARCHIVES.search(name):
        return "is an archive that is not read here: unpack it, or send a zip"
    if _COMPRESSED.search(name):
        return f"is compressed in a way that is not read here: {_UNPACK}"
    is_table = _names_a_table(name, tables)
    if _UNFINISHED.search(name):
        may_be_one = is_table or ".csv" in name.casefold()
        return None if is_dropped or not may_be_one else "is a transfer that has not ended: wait until it has its name"
    if _PART.search(name):
        return "is a part of a file that was split: join its parts"
    _, _, extension = name.casefold().rpartition(".")
    if is_table and (what := _OTHER_FORMATS.get(extension)):
        return f"is {what}: save it as CSV in UTF-8, named .csv"
    if name.casefold() in tables:
        return "has no extension: name it .csv"
    return None


def _names_a_table(name: str, tables: Collection[str]) -> bool:
    stem = _COPY.sub("", name.casefold().partition(".")[0])
    return stem in tables or without_date(stem) in tables


def _zeros(head: bytes) -> str | None:
    """UTF-16 without a BOM has a zero in every second byte; an unfinished or padded file begins with zeros."""
    if len(head) < 4 or b"\0" not in head:
        return None
    even, odd = head[::2].count(0) / len(head[::2]), head[1::2].count(0) / max(len(head[1::2]), 1)
    if min(even, odd) > 0.9:
        return "begins with zero bytes: it was not written completely; fetch it again"
    if max(even, odd) > 0.4 and min(even, odd) < 0.1:
        return "is UTF-16: save it as UTF-8"
    return None


def _other_delimiter(text: bytes, columns: Collection[str]) -> str | None:
    """Whether the header has at least two of the columns, or its only two, between other delimiters than commas."""
    header = text.lstrip(b"\r\n").partition(b"\n")[0].rstrip(b"\r").decode("utf-8", "replace")
    for delimiter, name in _DELIMITERS.items():
        names = [part.strip().strip('"').strip().casefold() for part in header.split(delimiter.decode())]
        if len(names) > 1 and sum(part in columns for part in names) > 1:
            return f"the delimiter must be a comma, and this file has {name}"
    return None
