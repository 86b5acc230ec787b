"""The base of whatever is stored as JSON: data that does not change, and of which no key is unknown."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Record"]


class Record(BaseModel):
    """A record: immutable, validated, unknown keys forbidden."""

    model_config = ConfigDict(extra="forbid", frozen=True)
