"""Pictures in the terminal: detect.py finds out how, draw.py does it."""

from prismhouse.cli.search.pictures.detect import canvas
from prismhouse.cli.search.pictures.draw import Canvas

__all__ = ["Canvas", "canvas"]
