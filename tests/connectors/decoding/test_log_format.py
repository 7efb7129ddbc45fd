from __future__ import annotations

import pytest

from nextclick.connectors.decoding.columns import find_column
from nextclick.connectors.decoding.log_format import PRESETS, log_format
from nextclick.connectors.source import SourceError
from nextclick.connectors.spelling import nearest


def test_options_override_a_preset() -> None:
    form = log_format("retailrocket", item_column="sku", gap=60.0, sort=False)
    assert (form.item, form.gap, form.sort) == ("sku", 60.0, False)
    assert form.user == PRESETS["retailrocket"].user


def test_a_session_column_wins_over_a_user_column() -> None:
    form = log_format(session_column="visit", user_column="visitor")
    assert (form.session, form.user) == ("visit", "visitor")


def test_an_unknown_format_names_the_nearest() -> None:
    with pytest.raises(SourceError, match=r"did you mean 'yoochoose'.*diginetica"):
        log_format("yoochose")


@pytest.mark.parametrize("delimiter", ["", ",\r", '"', "\n", "é"])
def test_a_delimiter_is_of_ascii_characters(delimiter: str) -> None:
    with pytest.raises(SourceError, match="--delimiter"):
        log_format(delimiter=delimiter)


def test_an_unknown_unit_is_named() -> None:
    with pytest.raises(SourceError, match="--time-unit minutes"):
        log_format(time_unit="minutes")


def test_a_column_is_found_by_its_name_or_the_name_before_its_type() -> None:
    assert find_column(["user_id:token", "item_id:token"], "item_id", "--item-column", "a") == 1
    assert find_column(["a", "b"], "b", "--item-column", "a") == 1


def test_many_columns_are_listed_in_part() -> None:
    columns = [f"column{n}" for n in range(1000)]
    with pytest.raises(SourceError, match=r"column29 and 970 more"):
        find_column(columns, "zebra", "--item-column", "a.csv")


def test_no_name_is_offered_where_none_is_near() -> None:
    assert nearest("zebra", ["session", "item"]) == ""
    assert nearest("ITEMS", ["session", "item"]) == " (did you mean 'item'?)"


def test_where_the_delimiter_is_another_the_error_says_so() -> None:
    with pytest.raises(SourceError, match=r"one column.*--delimiter"):
        find_column(["session_id,item_id,timestamp"], "item_id", "--item-column", "a.csv")
