"""Text models in the folder layout of sentence-transformers: table.py reads the folder, model.py runs it."""
