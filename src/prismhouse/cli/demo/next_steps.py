"""What to try while the demo's server stays up: lines that work when they are pasted."""

from __future__ import annotations

from prismhouse.cli.demo.flow import Outcome
from prismhouse.cli.demo.house import House

__all__ = ["next_steps"]


def next_steps(house: House, outcome: Outcome) -> str:
    """Return the address, the key and a few lines for the shell and for Python."""
    retriever = outcome.retriever_ids["ask-photos"]
    return f"""\
The server stays up until you press Ctrl-C. Its data: {house.data_dir}

  address    {house.url}
  API key    {house.key}   (also in {house.data_dir / "api-key"})
  namespace  {outcome.namespace_name}
  all calls  {house.url}/docs

Ask for a photo, from a shell:

  curl -s {house.url}/v1/retrievers/{retriever}/execute \\
    -H 'Authorization: Bearer {house.key}' -H 'X-Namespace: {outcome.namespace_name}' \\
    -H 'Content-Type: application/json' -d '{{"inputs": {{"query": "a horse"}}, "limit": 3}}'

The same in Python, with the official client (pip install mixpeek):

  from mixpeek import Mixpeek
  house = Mixpeek("{house.key}", namespace="{outcome.namespace_name}", base_url="{house.url}/v1")
  for photo in house.retrievers.execute("ask-photos", inputs={{"query": "a cup of coffee"}}).documents[:3]:
      print(photo.score, photo.file)

Start it again later, with the same data and key:

  prismhouse serve --data {house.data_dir}
"""
