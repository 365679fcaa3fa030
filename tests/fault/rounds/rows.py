"""The extraction of a server under test: what each text says is done, without a model."""

from __future__ import annotations

from tests.fake_extraction import fake_rows

__all__ = ["fake_rows"]
