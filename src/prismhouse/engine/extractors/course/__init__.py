"""course_content_extractor v1: lectures, their papers and their source code become units that can be learned from.

parameters.py says what may be set, record.py what the catalogue tells, extract.py goes through a row; video.py takes
videos (plan.py: where segments end; cues.py: subtitles), pdf.py PDFs, code.py archives (languages.py: which language
a file is in; parts.py: its functions); code_like.py tells code from prose, documents.py embeds.
"""

from prismhouse.engine.extractors.course.record import DEFINITION

__all__ = ["DEFINITION"]
