"""Every column of every mart, in a history made for it, beside the oracle: the marts computed in plain Python.

The history has values in each column that a wrong expression would miss: dates on both sides of a month, quarter, week
and year, versions that begin and end at a purchase, early and late deliveries, ties, nulls.
"""

from __future__ import annotations

import re
from datetime import date
from itertools import combinations

import pytest
from psycopg2.extensions import cursor as Cursor

from lakehouse.contract.model import Contract
from lakehouse.settings import Settings
from tests.embedded.marts.raw_rows import publish
from tests.support.compiled_models import (
    Model,
    build,
    create,
    differences_from_full_refresh,
    rolled_back,
)
from tests.support.oracle import marts_of
from tests.support.oracle_comparison import Differences, differences_from_oracle, marts_in
from tests.support.oracle_rows import TABLES, Delivery, batches_of

# A purchase at midnight of Monday has the versions that begin then; one a second earlier has those before.
DAYS = {"saturday": date(2018, 3, 31), "monday": date(2018, 4, 2), "tuesday": date(2018, 4, 3)}


def deliveries(text: str) -> tuple[Delivery, ...]:
    """`<day> <table>`, and below it, indented, its records, with the columns in the order of docs/tables.md."""
    found = []
    for delivery in re.split(r"\n(?=\w)", re.sub(r"(?m)^#.*\n", "", text.strip())):
        first, *records = (line.strip() for line in delivery.splitlines())
        day, table, *withdrawn = first.split()
        content = "\n".join([",".join(TABLES[table].columns), *records, ""]).encode()
        found.append((DAYS[day], table, None if withdrawn else content))
    return tuple(found)


FIRST = deliveries("""
# Ana moves to Rio and back. Bob's two orders of one moment go to two places. Eva and Ivo have not ordered yet.
saturday customers
    c1,ana,01000,sao paulo,SP
    c2,ana,20000,rio de janeiro,RJ
    c3,ana,01000,sao paulo,SP
    c4,bob,30000,belo horizonte,MG
    c5,bob,31000,contagem,MG
    c6,eva,40000,salvador,BA
    c7,eva,41000,camacari,BA
    c8,ivo,50000,recife,PE
    c10,dora,60000,fortaleza,CE
    c11,gil,61000,caucaia,CE
    c12,hal,60000,fortaleza,CE
    c13,hal,60000,fortaleza,CE
# o1 is late, o2 early and with the carrier before its approval, o4 comes at the last second of the promised day.
# The customer of o6 is not known. Some days of o7 are outside the calendar.
saturday orders
    o1,c1,delivered,2017-12-30 23:10:05,2018-01-01 00:20:00,2018-01-04 09:00:00,2018-01-15 18:30:00,2018-01-11 00:00:00
    o2,c2,delivered,2018-03-31 23:59:59,2018-04-03 10:00:00,2018-04-02 08:00:00,2018-04-09 12:00:00,2018-05-01 00:00:00
    o3,c3,shipped,2018-04-02 00:00:00,2018-04-02 00:30:00,2018-04-20 07:00:00,,2018-04-28 00:00:00
    o4,c4,delivered,2018-04-01 12:00:00,2018-04-01 13:00:00,2018-04-10 23:00:00,2018-04-12 23:59:59,2018-04-12 00:00:00
    o5,c5,approved,2018-04-01 12:00:00,2018-04-07 13:00:00,,,2018-06-30 00:00:00
    o6,c99,created,2018-02-28 06:00:00,,,,2018-03-20 00:00:00
    o11,c10,unavailable,2018-03-01 09:00:00,2018-03-01 10:00:00,,,2018-03-30 00:00:00
    o12,c11,unavailable,2018-03-02 09:00:00,2018-03-02 10:00:00,,,2018-03-31 00:00:00
    o13,c12,created,2018-03-03 09:00:00,,,,2018-04-01 00:00:00
    o14,c13,created,2018-03-04 09:00:00,,,,2018-04-02 00:00:00
    o7,c5,canceled,1999-12-31 23:59:59,2000-01-01 00:00:00,2049-12-31 23:59:59,2050-01-01 00:00:00,2050-01-02 00:00:00
# Nothing describes p9 and s9. The order o9 never comes.
saturday order_items
    o1,1,p1,s1,2018-01-05 23:00:00,10.00,1.10
    o1,2,p2,s1,2018-01-06 23:00:00,20.50,2.25
    o1,3,p3,s2,2018-01-07 23:00:00,0.01,0.00
    o1,4,p1,s1,2018-01-08 23:00:00,10.00,1.10
    o2,1,p1,s1,2018-04-05 10:00:00,99.90,12.34
    o3,1,p1,s1,2018-04-06 10:00:00,45.00,7.00
    o6,1,p9,s9,2051-01-01 00:00:00,5.00,6.00
    o9,1,p1,s1,2018-04-08 10:00:00,7.00,8.00
    o11,1,p4,s3,2018-03-04 10:00:00,8.00,9.00
    o12,1,p4,s4,2018-03-05 10:00:00,8.50,9.50
    o13,1,p4,s5,2018-03-06 09:00:00,8.70,9.40
    o14,1,p2,s4,2018-03-06 10:00:00,20.00,9.60
saturday order_payments
    o1,1,credit_card,8,47.00
    o2,1,boleto,1,100.00
    o2,2,voucher,0,12.24
    o9,1,debit_card,3,15.00
saturday order_reviews
    r1,o2,5,Great,"Early, complete",2018-04-10 00:00:00,2018-04-29 09:00:00
    r1,o4,4,,Well packed,2018-04-13 00:00:00,2018-04-11 21:00:00
    r2,o2,1,Mixed up,,2018-06-30 00:00:00,2018-07-01 03:00:00
    r3,o9,3,,,,
    r4,o1,2,,Where is it?,2018-01-12 00:00:00,2018-01-13 08:00:00
saturday products
    p1,artes,40,287,1,225,16,10,14
    p2,pc_gamer,44,276,2,1000,30,18,20
    p3,,,,,,,,
    p4,artes,30,200,3,400,20,20,20
saturday sellers
    s1,13000,campinas,SP
    s2,80000,curitiba,PR
    s3,90000,porto alegre,RS
    s4,13000,campinas,SP
    s5,13000,campinas,SP
saturday category_translation
    artes,art
# With Monday's: in 01000 two latitudes are in the middle, and each city and state has two places; in 20000 most places
# are in the city and state that come last in the alphabet and first.
saturday geolocation
    01000,-23.5,-46.1,sao paulo,SP
    01000,-23.9,-46.9,osasco,SP
    01000,-23.9,-46.9,osasco,SP
    01000,-23.6,-46.4,sao paulo,RJ
    20000,-22.9,-43.3,rio de janeiro,RJ
    20000,-22.8,-43.2,rio de janeiro,RJ
    13000,-22.9,-47.1,campinas,SP
    60000,-3.7,-38.5,fortaleza,CE
""")
SECOND = deliveries("""
# c4 is corrected, which is no move. A late order of Ana, between two others, went to a third place.
monday customers
    c4,bob,32000,betim,MG
    c9,ana,70000,brasilia,DF
monday orders
    o8,c9,invoiced,2018-01-31 10:00:00,2018-02-01 11:00:00,,,2018-02-15 00:00:00
monday order_items
    o8,1,p2,s2,2018-02-06 10:00:00,11.00,2.00
    o5,1,p3,s2,2018-04-11 10:00:00,3.00,1.00
# p1 and p3 change, p2 does not; s1 changes, s2 does not.
monday products
    p1,artes,40,287,1,230,16,10,14
    p2,pc_gamer,44,276,2,1000,30,18,20
    p3,artes,,,,,5,,
monday sellers
    s1,13001,valinhos,SP
    s2,80000,curitiba,PR
monday category_translation
    artes,arts
monday geolocation
    01000,-23.7,-46.7,osasco,RJ
    01000,-23.5,-46.1,sao paulo,SP
    20000,-22.7,-43.1,niteroi,SP
    80000,-25.4,-49.3,curitiba,PR
""")
THIRD = deliveries("""
# s5 is corrected where it was: no version begins, but o13 came from elsewhere.
saturday sellers
    s1,13000,campinas,SP
    s2,80000,curitiba,PR
    s3,90000,porto alegre,RS
    s4,13000,campinas,SP
    s5,20000,rio de janeiro,RJ
# Saturday's payments are withdrawn and come with Monday.
saturday order_payments withdrawn
monday order_payments
    o1,1,voucher,8,40.25
    o1,2,credit_card,10,9.00
    o9,1,not_defined,3,15.00
# o3 is delivered, a day before the carrier had it. Ivo's first order comes.
tuesday orders
    o3,c3,delivered,2018-04-02 00:00:00,2018-04-02 00:30:00,2018-04-20 07:00:00,2018-04-19 20:00:00,2018-04-28 00:00:00
    o10,c8,processing,2018-04-03 04:05:06,2018-04-04 05:06:07,,,2018-07-01 00:00:00
# Where o11 came from, and where o12 went: nothing else changes these orders.
tuesday geolocation
    61000,-3.9,-38.7,caucaia,CE
    90000,-30.0,-51.2,porto alegre,RS
# p2 gets a category without a translation; of Hal's two orders only o14 is rebuilt for it. s1 moves back.
tuesday products
    p2,jogos,44,276,2,1000,30,18,20
tuesday sellers
    s1,13000,campinas,SP
""")
HISTORY = (*FIRST, *SECOND, *THIRD)


def deliver(cursor: Cursor, contract: Contract, sent: tuple[Delivery, ...]) -> None:
    cursor.execute("set local role loader")
    for day, table, content in sent:
        publish(cursor, contract, day, {table: batches_of([(day, table, content)])[table].get(day, [])})
    cursor.execute("reset role")


def differences(cursor: Cursor, sent: tuple[Delivery, ...]) -> Differences:
    cursor.execute("set local role transformer")
    found = differences_from_oracle(cursor, marts_of(batches_of(sent)))
    cursor.execute("reset role")
    return found


def test_every_column_of_every_mart_is_what_the_oracle_computes(
    without_marts: Settings, project: list[Model], contract: Contract
) -> None:
    with rolled_back(without_marts) as cursor:
        create(cursor, project)
        deliver(cursor, contract, FIRST)
        build(cursor, project)
        after_first = differences(cursor, FIRST)
        deliver(cursor, contract, SECOND)
        build(cursor, project, killed_after=9)
        deliver(cursor, contract, THIRD)
        build(cursor, project)

        assert after_first == {}
        assert differences(cursor, HISTORY) == {}
        assert marts_in(cursor) == set(marts_of(batches_of(HISTORY)))
        assert differences_from_full_refresh(cursor, project) == {}


@pytest.mark.parametrize("mart", sorted(MARTS := marts_of(batches_of(HISTORY))))
def test_the_history_is_rich_enough_to_tell_every_two_columns_apart(mart: str) -> None:
    rows = MARTS[mart]

    assert [column for column in rows[0] if len({row[column] for row in rows} - {None}) < 2] == [], "constant"
    assert [pair for pair in combinations(rows[0], 2) if all(row[pair[0]] == row[pair[1]] for row in rows)] == []
