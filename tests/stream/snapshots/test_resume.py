from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nextclick.models import GRU4RecConfig
from nextclick.stream.comparison.config import CompareConfig
from nextclick.stream.config.options import ConfigError
from nextclick.stream.config.run import RunConfig
from nextclick.stream.snapshots.resume import check_fixed


def refusal(then: Any, now: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        check_fixed(then.public(), now.public(), Path("s"))
    return str(raised.value)


def test_an_option_that_must_stay_is_named_as_it_is_typed() -> None:
    all_of_them, some = RunConfig(), RunConfig(partitions=[0, 2])
    assert "started without --partitions, not with --partitions 0,2:" in refusal(all_of_them, some)
    assert "started with --partitions 0,2, not without --partitions:" in refusal(some, all_of_them)
    assert "started without --sort, not with --sort:" in refusal(RunConfig(), RunConfig(sort=True))
    assert "with --batch 64, not with --batch 8:" in refusal(RunConfig(), RunConfig(batch=8))


def test_the_model_can_be_kept_where_the_option_is_not_one_of_its_own() -> None:
    assert "--begin-from SNAPSHOT" in refusal(RunConfig(), RunConfig(partitions=[1]))
    other = RunConfig(model=GRU4RecConfig(hidden=8))
    assert "--begin-from" not in refusal(RunConfig(), other)
    assert "start over with --fresh" in refusal(RunConfig(), other)
    models: dict[str, dict[str, Any]] = {"popularity": {}}
    comparison = CompareConfig(models=models), CompareConfig(models=models, batch=8)
    assert "--begin-from" not in refusal(*comparison)
