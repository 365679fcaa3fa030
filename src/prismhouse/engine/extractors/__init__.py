"""The catalogue of feature extractors, one file or folder each. Read port.py next.

In every folder parameters.py says what may be set, record.py what the catalogue tells, and extract.py goes through
rows. Beside them a name means the same wherever it stands: video.py, audio.py, image.py, pdf.py and text.py take one
kind of file each, ocr.py reads what is written in pictures, description.py has a model tell what is there, documents.py
embeds what was found, and fields.py is what documents hold. What extractors share stands here: rows.py (inputs and
failures), losses.py (what is told of a part that was lost), schemas.py, files.py, pages.py, pictures.py, segments.py,
speech.py, ocr.py, splitting.py, text_vectors.py and generation.py (models that write).
"""
