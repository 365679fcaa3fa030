"""web_scraper v1: the pages of a site, as documents.

parameters.py says what may be set, extract.py makes documents of pages, record.py is what the catalogue tells. The
pages come from prismhouse.engine.web, which runs before, in a process of its own.
"""

from prismhouse.engine.extractors.web.parameters import WebScraperParameters
from prismhouse.engine.extractors.web.record import DEFINITION

__all__ = ["DEFINITION", "WebScraperParameters"]
