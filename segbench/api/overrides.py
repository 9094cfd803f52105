"""Values as Hydra's overrides."""

from __future__ import annotations

from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString


def assigned(key: str, value: str | Path) -> str:
    """`key='value'`, quoted so that Hydra reads any text as it is."""
    return f"{key}={QuotedString(str(value), Quote.single).with_quotes()}"
