"""A page beside Airflow's own answers at its address with and without the closing slash."""

from __future__ import annotations

import pytest

from lakehouse_airflow.published_page import ClosingSlash
from tests.support.pages import ask, page


def test_the_address_without_its_closing_slash_leads_to_the_page() -> None:
    answer = ask(ClosingSlash(page(404), "/report"), path="/report")

    assert (answer.status, answer.headers) == (307, [(b"location", b"/report/")])


@pytest.mark.parametrize("path", ["/", "/report/", "/reports", "/dags/report"])
def test_any_other_address_is_left_alone(path: str) -> None:
    assert ask(ClosingSlash(page(), "/report"), path=path).body == "the page"
