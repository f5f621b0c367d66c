"""Rows of scores as documents: flat, with a key for each range and level, `coverage_50` and `pinball_0.05_bp`.

In code these are mappings, from the share of a range or the level of a quantile to its value.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_COVERAGE, _PINBALL, _UNIT = "coverage_", "pinball_", "_bp"


def nested(document: Any) -> Any:
    """Gather the ranges and levels of a flat row in `coverage` and `pinball_bp`; None is left out."""
    if not isinstance(document, Mapping):
        return document
    row: dict[str, Any] = {"coverage": {}, "pinball_bp": {}}
    for name, value in document.items():
        if name.startswith(_COVERAGE):
            row["coverage"] |= {} if value is None else {int(name.removeprefix(_COVERAGE)): value}
        elif name.startswith(_PINBALL) and name not in row:
            level = float(name.removeprefix(_PINBALL).removesuffix(_UNIT))
            row["pinball_bp"] |= {} if value is None else {level: value}
        else:
            row[name] = value
    return row


def coverage_keys(coverage: Mapping[int, float]) -> dict[str, float]:
    """Return the coverage of ranges by the keys of a flat row."""
    return {f"{_COVERAGE}{share}": value for share, value in coverage.items()}


def pinball_keys(pinball_bp: Mapping[float, float]) -> dict[str, float]:
    """Return the pinball loss of levels by the keys of a flat row."""
    return {f"{_PINBALL}{level:.2f}{_UNIT}": value for level, value in pinball_bp.items()}


def converted(
    source: type[Any], handler: GetCoreSchemaHandler, read: Callable[[Any], Any], write: Callable[[Any], Any]
) -> CoreSchema:
    """Return the schema of a dataclass whose documents `read` and `write` convert, for pydantic."""
    plain: dict[str, Any] = {**handler.resolve_ref_schema(handler(source))}
    ref = plain.pop("ref", None)  # by which other types find the schema: it must lead to the conversion too
    return core_schema.no_info_before_validator_function(
        read, plain, ref=ref, serialization=core_schema.plain_serializer_function_ser_schema(write)
    )
