"""document_graph_extractor v1: the blocks of a PDF (paragraphs, lists, tables, figures) in reading order.

parameters.py says what may be set, blocks.py puts lines together, order.py says what is read after what, page.py reads
a page, extract.py goes through a row, record.py is what the catalogue tells.
"""

from prismhouse.engine.extractors.document_graph.parameters import DocumentGraphParameters
from prismhouse.engine.extractors.document_graph.record import DEFINITION

__all__ = ["DEFINITION", "DocumentGraphParameters"]
