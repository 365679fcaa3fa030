"""Models behind an OpenAI-compatible server: embeddings, and a writer of texts that may look at pictures.

place.py says where one stands and within which bounds, client.py posts to it, embeddings.py and chat.py are the models,
answer.py reads JSON out of what a model wrote.
"""

from prismhouse.engine.inference.endpoints.errors import EndpointFault
from prismhouse.engine.inference.endpoints.place import Place, place_of

__all__ = ["EndpointFault", "Place", "place_of"]
