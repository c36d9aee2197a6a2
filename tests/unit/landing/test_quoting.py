"""The pass over the bytes agrees with a slow state machine that is obviously right."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakehouse.landing import quoting
from lakehouse.landing.quoting import count_fields, scan, whole_records

BOM = b"\xef\xbb\xbf"


@dataclass
class Slow:
    is_sound: bool
    lines: list[bytes]  # with their newline, including blank lines
    fields: list[int]

    @property
    def records(self) -> list[bytes]:
        return [line for line in self.lines if line not in (b"\n", b"\r\n", b"")]


def read_slowly(data: bytes) -> Slow:
    """Byte by byte. States: start of a field, within a bare field, within quotes, after a closing quote."""
    text = data.removeprefix(BOM)
    state, line, lines, count, fields = "start", b"", [], 1, []
    unsound = Slow(False, [], [])
    at = 0
    while at < len(text):
        byte = text[at : at + 1]
        at += 1
        line += byte
        if state == "quoted":
            state = "closed" if byte == b'"' else "quoted"
        elif byte == b'"':
            if state == "bare":
                return unsound
            state = "quoted"
        elif byte == b",":
            state, count = "start", count + 1
        elif byte == b"\n" or text[at - 1 : at + 1] == b"\r\n":
            if byte == b"\r":
                line, at = line + b"\n", at + 1
            lines.append(line)
            fields.append(count)
            state, line, count = "start", b"", 1
        elif byte == b"\r" or state == "closed":
            return unsound
        else:
            state = "bare"
    if state == "quoted":
        return unsound
    return Slow(True, [*lines, line] if line else lines, [*fields, count] if line else fields)


PIECES = st.sampled_from(
    [b'"', b'"', b",", b"\n", b"\r\n", b"\r", b"a", b"bc", b'""', BOM, "é".encode(), b"\xe9", b"\0"]
)
ANY_FILE = st.lists(PIECES, max_size=40).map(b"".join)
FIELD = st.sampled_from([b"", b"a", b'""', b'"a"', b'"a,b"', b'"a\nb"', b'"a\r\nb"', b'"""a"', b'"\r"', "é".encode()])
RECORD = st.lists(FIELD, min_size=1, max_size=4).map(b",".join)
SOUND_FILE = st.builds(
    lambda bom, lines, end: bom + b"".join(a + b for a, b in lines) + end,
    st.sampled_from([b"", BOM]),
    st.lists(st.tuples(RECORD, st.sampled_from([b"\n", b"\r\n", b"\n\n"]))),
    st.one_of(st.just(b""), RECORD),
)
CHUNK_SIZES = st.sampled_from([1, 2, 3, 5, 8, 1000])


@given(st.one_of(ANY_FILE, SOUND_FILE), CHUNK_SIZES)
@example(b'a,b\n"oops\n4,5,"fine"\n', 1000)
@example(b'a\n"', 1)
@example(b"\r", 1)
@example(BOM, 1)
@example(b"", 1)
@settings(max_examples=600)
def test_the_pass_agrees_with_the_state_machine_however_the_file_is_cut_into_chunks(
    data: bytes, chunk_size: int
) -> None:
    expected = read_slowly(data)

    found = scan(io.BytesIO(data), chunk_size)

    assert (not found.faults) == expected.is_sound
    assert (found.size, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert found.has_nul == (b"\0" in data)
    if expected.is_sound:
        records = expected.records
        assert found.records == max(len(records) - 1, 0)
        assert found.header == (records[0].rstrip(b"\n").removesuffix(b"\r") if records else b"")
        behind_header = expected.lines[expected.lines.index(records[0]) + 1 :] if records else []
        assert data[found.data_starts :] == b"".join(behind_header)
        assert found.longest_record >= max(map(len, records), default=0)
        assert found.longest_record <= max(map(len, expected.lines), default=0) + 1


@given(ANY_FILE, CHUNK_SIZES)
@example(b"\xc3a\xa9", 1)
def test_utf8_is_recognised_however_the_file_is_cut_into_chunks(data: bytes, chunk_size: int) -> None:
    try:
        data.decode()
        expected = True
    except UnicodeDecodeError:
        expected = False

    assert scan(io.BytesIO(data), chunk_size).is_utf8 == expected


@given(SOUND_FILE, CHUNK_SIZES)
def test_a_sound_file_is_cut_between_its_records(data: bytes, chunk_size: int) -> None:
    expected = read_slowly(data)
    text = data.removeprefix(BOM)

    pieces = list(whole_records(io.BytesIO(text), chunk_size))

    assert b"".join(piece for piece, _ in pieces) == text
    cut = [piece[start:end] for piece, ends in pieces for start, end in zip([0, *ends], ends, strict=False)]
    assert cut == expected.lines
    assert [count_fields(line.rstrip(b"\n").removesuffix(b"\r")) for line in cut] == expected.fields


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b'a,b\n1,x"y"\n', "line 2: a quote opens in the middle of a field"),
        (b'a,b\n1,"x"y\n', "line 2: more text behind the closing quote of a field that opens on line 2"),
        (b'a,b\n"oops\n4,5,"fine"\n', "line 3: more text behind the closing quote of a field that opens on line 2"),
        (b'a,b\n1,"x ""y"" z\n2,z\n', "the quote that opens on line 2 is never closed"),
        (b"a,b\n1,2\r3,4\n", "line 2: a carriage return without line feed (a newline is LF or CRLF)"),
        (b"a,b\n1,2\r", "line 2: a carriage return without line feed (a newline is LF or CRLF)"),
    ],
    ids=["opened in mid-field", "closed in mid-field", "swallows lines", "never closed", "lone CR", "CR at the end"],
)
@pytest.mark.parametrize("chunk_size", [1, 4, 1000])
def test_a_fault_names_its_line(data: bytes, fault: str, chunk_size: int) -> None:
    assert scan(io.BytesIO(data), chunk_size).faults == (fault,)


@given(ANY_FILE, CHUNK_SIZES)
def test_the_faults_are_the_same_however_the_file_is_cut_into_chunks(data: bytes, chunk_size: int) -> None:
    assert scan(io.BytesIO(data), chunk_size).faults == scan(io.BytesIO(data)).faults


@pytest.mark.parametrize("chunk_size", [1, 7, 1000])
def test_a_broken_quote_hides_neither_the_header_nor_the_next_fault(chunk_size: int) -> None:
    data = b'a,b\n1,x"y"\n2,"z"\n"3"4,5\n6,7\r8,9\n"10,11\n'

    found = scan(io.BytesIO(data), chunk_size)

    assert found.header == b"a,b"
    assert found.faults == (
        "line 2: a quote opens in the middle of a field",
        "line 4: more text behind the closing quote of a field that opens on line 4",
        "line 5: a carriage return without line feed (a newline is LF or CRLF)",
        "the quote that opens on line 6 is never closed",
    )


@pytest.mark.parametrize("chunk_size", [5, 1 << 20])
def test_the_first_ten_faults_are_named_and_the_others_counted(chunk_size: int) -> None:
    def faults(lines: int) -> tuple[str, ...]:
        return scan(io.BytesIO(b"a,b\n" + b'1,x"y\n' * lines), chunk_size).faults

    assert len(faults(10)) == 10
    assert faults(12)[9:] == (
        "line 11: a quote opens in the middle of a field",
        "and 2 more faults of this kind, of which some may follow from those before",
    )
    assert faults(5000)[-1].startswith("and many more faults")


def test_a_record_over_16_mb_is_a_fault() -> None:
    limit = quoting.LONGEST_RECORD

    assert not scan(io.BytesIO(b"a\n" + b"x" * (limit - 1) + b"\n")).faults
    assert scan(io.BytesIO(b"a\n" + b"x" * limit + b"\n")).faults == (
        "a record is longer than 16 MB (a quote left open?)",
    )
