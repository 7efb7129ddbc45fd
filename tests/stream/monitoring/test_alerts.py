"""The alert rules: valid, each tested, over metrics that there are, each explained."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.stream.monitoring.test_prometheus import all_metrics, watched

ROOT = Path(__file__).parents[3]
OPERATE = ROOT / "operate"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((OPERATE / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
TESTS = yaml.safe_load((OPERATE / "alerts_test.yaml").read_text())["tests"]

__all__ = ["watched"]


@pytest.mark.parametrize(
    ("check", "file"), [("check", "alerts.yaml"), ("test", "alerts_test.yaml")]
)
def test_promtool_finds_the_rules_right(check: str, file: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool: install Debian's package prometheus")
    done = subprocess.run(
        [promtool, check, "rules", file], cwd=OPERATE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_seen_to_fire() -> None:
    fired = {
        name
        for test in TESTS
        for expected in test["promql_expr_test"]
        for sample in expected["exp_samples"]
        for name in re.findall(r'alertname="(\w+)"', sample["labels"])
    }
    assert fired == {rule["alert"] for rule in RULES}


def test_the_rules_are_over_metrics_that_there_are(watched: tuple[Any, Any]) -> None:
    known = all_metrics(watched[1])
    series = [one["series"] for test in TESTS for one in test["input_series"]]
    for text in (*(rule["expr"] for rule in RULES), *series):
        asked = re.findall(r"\b(?:nextclick|process)_\w+", text)
        assert set(asked) <= known, text


def test_each_alert_says_what_is_wrong_and_is_on_the_page() -> None:
    page = (ROOT / "docs" / "operate" / "monitoring.md").read_text()
    for rule in RULES:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]
        assert f"| `{rule['alert']}` |" in page
