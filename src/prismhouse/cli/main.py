"""The command line's root: `prismhouse COMMAND`."""

from __future__ import annotations


def main() -> None:
    """Run the command named on the command line."""
    raise NotImplementedError
