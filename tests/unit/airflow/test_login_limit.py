"""Ten failed logins of an address within a minute, then none is tried until the minute is over."""

from __future__ import annotations

from typing import Any

import pytest

from lakehouse_airflow import login_limit
from lakehouse_airflow.login_limit import LoginLimit
from tests.support.pages import ask, page

WRONG, TOKEN = (401, ()), (201, ())
WRONG_ON_THE_PAGE = (302, ((b"location", b"/auth/login/?next=/"),))
PAGE = (302, ((b"location", b"/"),))


class Pages:
    """Airflow behind the limit, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.answer: tuple[int, tuple[tuple[bytes, bytes], ...]] = WRONG
        self.limit = LoginLimit(self._app, lambda: self.now)

    async def _app(self, *asgi: Any) -> None:
        await page(*self.answer)(*asgi)

    def post(self, path: str = "/auth/token", address: str = "192.0.2.1", method: str = "POST") -> tuple[int, int]:
        """The status, and after how many seconds to try again."""
        found = ask(self.limit, method=method, path=path, address=address)
        return found.status, int(dict(found.headers).get(b"retry-after", 0))


@pytest.fixture
def pages() -> Pages:
    return Pages()


def test_the_eleventh_login_after_ten_failures_is_not_tried(pages: Pages) -> None:
    for second in range(10):
        pages.now = float(second)
        assert pages.post()[0] == 401
    pages.answer = TOKEN

    assert pages.post() == (429, 51)
    assert pages.post("/auth/login/") == (429, 51)
    pages.now = 61.0
    assert pages.post() == (201, 0)


def test_the_form_counts_too(pages: Pages) -> None:
    pages.answer = WRONG_ON_THE_PAGE
    assert [pages.post("/auth/login/")[0] for _ in range(11)] == [302] * 10 + [429]


# The last two: a form without its token, which any web page can send, and an address without its last slash.
@pytest.mark.parametrize("answer", [TOKEN, PAGE, (400, ()), (308, ((b"location", b"/auth/login/"),))])
def test_what_tries_no_wrong_password_is_not_limited(pages: Pages, answer: Any) -> None:
    pages.answer = answer
    assert {pages.post()[0] for _ in range(30)} == {answer[0]}


def test_other_addresses_and_other_pages_are_not_limited(pages: Pages) -> None:
    for _ in range(11):
        pages.post()

    assert pages.post(address="192.0.2.2")[0] == 401
    assert pages.post("/api/v2/dags")[0] == 401
    assert pages.post("/auth/login/", method="GET")[0] == 401


def test_it_remembers_a_bounded_number_of_addresses(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_limit, "ADDRESSES", 5)
    for number in range(20):
        pages.post(address=f"192.0.2.{number}")

    assert len(pages.limit._failures) == 5
