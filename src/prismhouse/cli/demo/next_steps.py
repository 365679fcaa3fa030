"""What to try while the demo's server stays up: lines that work when they are pasted."""

from __future__ import annotations

from prismhouse.cli.demo.flow import Outcome
from prismhouse.cli.demo.house import House

__all__ = ["next_steps"]


def next_steps(house: House, outcome: Outcome) -> str:
    """Return the address, the key and a few lines for the shell and for Python."""
    return f"""\
The server stays up until you press Ctrl-C. Its data: {house.data_dir}

  address     {house.url}
  operations  {house.url}/docs
  API key     {house.key}
              (also in {house.data_dir / "api-key"})
  namespace   {outcome.namespace_name}

Ask for a photo, in another shell:

  export KEY={house.key}
  curl -s {house.url}/v1/retrievers/ask-photos/execute -H "Authorization: Bearer $KEY" \\
    -H "X-Namespace: {outcome.namespace_name}" -d '{{"inputs": {{"query": "something to drink"}}, "limit": 3}}'

The same in Python, with the official client (pip install mixpeek):

  import os
  from mixpeek import Mixpeek
  client = Mixpeek(os.environ["KEY"], namespace="{outcome.namespace_name}", base_url="{house.url}/v1")
  for photo in client.retrievers.execute("ask-photos", inputs={{"query": "something to drink"}}).documents[:3]:
      print(round(photo.score, 3), photo.file, photo.labels[0].label)

Start it again later, with the same data and key:

  prismhouse serve --data {house.data_dir}
"""
