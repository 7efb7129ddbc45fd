"""Results as Arrow tables, for pandas, Polars and everything else that reads Arrow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from .comparison_page import comparison_curves
from .run_page import run_curves

_WITHOUT_TABLE = ("windows", "growing", "slices", "drift", "seeds", "spread", "last_half")


def models_table(result: Mapping[str, Any]) -> Any:
    """Return a row for each model of a comparison: figures, costs, and spread over seeds."""
    rows = []
    for name, found in result["models"].items():
        row = {"model": name}
        row |= {key: value for key, value in found.items() if key not in _WITHOUT_TABLE}
        for figure in result["figures"]:
            row[f"{figure}_last_half"] = found["last_half"][figure]
            row[f"{figure}_spread"] = found.get("spread", {}).get(figure)
        rows.append(row)
    table = pa.Table.from_pylist(rows)
    # Where no model has several seeds, a column of nulls has no type.
    spread = [name for name in table.column_names if name.endswith("_spread")]
    fields = [
        field.with_type(pa.float64()) if field.name in spread else field for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def differences_table(result: Mapping[str, Any]) -> Any:
    """Return a row for each difference between two models in one figure."""
    number = pa.float64()
    fields = [(name, pa.string()) for name in ("figure", "model", "other")]
    fields += [(name, number) for name in ("difference", "low", "high", "run", "p")]
    fields += [(name, pa.bool_()) for name in ("holm", "real")]
    return pa.Table.from_pylist(list(result["differences"]), pa.schema(fields))


def comparison_windows(result: Mapping[str, Any]) -> Any:
    """Return a row for each model and window of the stream, as the curves show them."""
    curves, names, figures = comparison_curves(result), list(result["models"]), result["figures"]
    tables = []
    for at, name in enumerate(names):
        own = {
            figure: curves.values[place * len(names) + at] for place, figure in enumerate(figures)
        }
        tables.append(_windows({"model": pa.array([name] * len(curves.clicks))}, curves, own))
    return pa.concat_tables(tables)


def slices_table(result: Mapping[str, Any]) -> Any:
    """Return a row for each model and kind of click, with how many clicks are of that kind."""
    rows = [
        {
            "model": name,
            "by": line,
            "kind": kind,
            "scored": result["slices"][line][kind],
            **found["slices"][line][kind],
        }
        for name, found in result["models"].items()
        for line, kinds in found["slices"].items()
        for kind in kinds
    ]
    return pa.Table.from_pylist(rows)


def alarms_table(result: Mapping[str, Any]) -> Any:
    """Return a row for each drift alarm, of a run or of the models of a comparison."""
    of = result.get("models", {result.get("model"): result})
    names = ["since", "clicks"]
    fields = [("model", pa.string()), *((name, pa.int64()) for name in names)]
    fields += [(name, pa.float64()) for name in ("time", "before", "after")]
    rows = [{"model": name, **alarm} for name, found in of.items() for alarm in found["drift"]]
    return pa.Table.from_pylist(rows, pa.schema(fields))


def figures_table(result: Mapping[str, Any]) -> Any:
    """Return a row for each set of clicks that a run has figures over."""
    figures = [key for key in result if "@" in key]
    scopes = {"all": result, **{name: result[name] for name in ("seen", "sliding", "fading")}}
    rows = [
        {"over": name, **{figure: found.get(figure) for figure in figures}}
        for name, found in scopes.items()
    ]
    fields = [("over", pa.string()), *((figure, pa.float64()) for figure in figures)]
    return pa.Table.from_pylist(rows, pa.schema(fields))


def run_windows(result: Mapping[str, Any]) -> Any:
    """Return a row for each window of a run's stream, as its curves show them."""
    _, curves = run_curves(result)
    keys = [key for key in result["windows"][0] if "@" in key] if result["windows"] else []
    return _windows({}, curves, dict(zip(keys, curves.values, strict=False)))


def _windows(first: dict[str, Any], curves: Any, figures: Mapping[str, Any]) -> Any:
    columns = {
        **first,
        "clicks": pa.array(curves.clicks, pa.int64()),
        "time": pa.array(curves.times, pa.float64()),
        "scored": pa.array(curves.scored, pa.int64()),
    }
    return pa.table(columns | {name: pa.array(of, pa.float64()) for name, of in figures.items()})


MakeTable = Callable[[Mapping[str, Any]], Any]

OF_A_COMPARISON: dict[str, MakeTable] = {
    "models": models_table,
    "differences": differences_table,
    "windows": comparison_windows,
    "slices": slices_table,
    "drift": alarms_table,
}
"""The tables of a comparison by name, the main one first."""

OF_A_RUN: dict[str, MakeTable] = {
    "figures": figures_table,
    "windows": run_windows,
    "drift": alarms_table,
}
"""The tables of a run by name, the main one first."""
