"""The composition root: build.py joins the parts that house.py lists; adapters.py beside it chooses the adapters.

Whoever wants to see how a part is made finds it in build.py, or in the file that is named after it.
"""

from prismhouse.server.wiring.build import build
from prismhouse.server.wiring.extraction import models_dir
from prismhouse.server.wiring.house import House

__all__ = ["House", "build", "models_dir"]
