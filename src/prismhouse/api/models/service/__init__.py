"""What a user can do with models: bring one, keep it, enable and deploy it. Each has a file of its own."""

from prismhouse.api.models.service.bring import Bringing
from prismhouse.api.models.service.keep import Keeping
from prismhouse.api.models.service.lend import EMBED_QUERIES, PREFIX, Lender, QueryEmbedders
from prismhouse.api.models.service.run import Deployments

__all__ = ["EMBED_QUERIES", "PREFIX", "Bringing", "Deployments", "Keeping", "Lender", "QueryEmbedders"]
