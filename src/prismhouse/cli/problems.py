"""Errors for a person at a terminal: what is wrong and what to do, without a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_settings import SettingsError

from prismhouse.kit.errors import WarehouseError

__all__ = ["Outcome", "explained"]


@dataclass
class Outcome:
    """The exit code: 0 done, 1 failed, 2 wrong settings or arguments, 130 broken off."""

    code: int = 0


@contextmanager
def explained() -> Iterator[Outcome]:
    """Turn expected errors inside into a message on stderr and an exit code."""
    outcome = Outcome()
    try:
        yield outcome
    except WarehouseError as error:
        print(f"prismhouse: {error.message}", file=sys.stderr)
        outcome.code = 1
    except (ValidationError, SettingsError) as error:
        print(f"prismhouse: {_settings_text(error)}", file=sys.stderr)
        outcome.code = 2
    except KeyboardInterrupt:
        outcome.code = 130


def _settings_text(error: ValidationError | SettingsError) -> str:
    if isinstance(error, SettingsError):
        return f"the settings cannot be read: {error}"
    lines = [
        f"  PRISMHOUSE_{'__'.join(str(part).upper() for part in item['loc'])}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)
    ]
    return "\n".join(["these settings are wrong:", *lines, "`prismhouse config reference` explains every setting."])
