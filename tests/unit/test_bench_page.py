"""The page of benchmarks: two commands write it, neither destroys what the other wrote."""

from __future__ import annotations

from tests.bench.page import INTRO, leaves, put


def test_parts_are_replaced_and_the_others_stay() -> None:
    """Whichever comes first, and however often."""
    page = put("", "make bench", "## A\n\none")
    page = put(page, "make bench-hil", "## B\n\ntwo")
    assert page.startswith(INTRO)
    again = put(page, "make bench", "## A\n\nthree")
    assert again == page.replace("one", "three")
    assert put(again, "make bench", "## A\n\none") == page
    assert put(page, "make bench-hil", "## B\n\ntwo") == page
    assert put(page, "make bench-hil", "x").count("<!-- make bench -->") == 1


def test_every_leaf_is_a_row() -> None:
    """Nested objects and lists of objects; plain lists are one value."""
    assert list(leaves({"a": {"b": 1, "c": [1, 2]}, "d": [{"e": None}]})) == [
        ("a.b", "1"),
        ("a.c", "[1, 2]"),
        ("d.0.e", "null"),
    ]
