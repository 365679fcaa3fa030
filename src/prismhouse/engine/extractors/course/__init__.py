"""course_content_extractor v1: lectures, their papers and their source code become units that can be learned from.

parameters.py says what may be set, record.py what the catalogue tells, extract.py goes through a row; film.py takes
videos (plan.py: where segments end; cues.py: subtitles), paper.py PDFs, code.py archives (languages.py: which language
a file is in; parts.py: its functions); code_like.py tells code from prose, unit.py makes documents.
"""

from prismhouse.engine.extractors.course.record import DEFINITION

__all__ = ["DEFINITION"]
