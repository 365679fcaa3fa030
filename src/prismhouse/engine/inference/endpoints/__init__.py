"""Models behind an OpenAI-compatible server: embeddings, and a writer of texts that may look at pictures.

tables.py says what the file of models may set, client.py posts within bounds, embeddings.py and chat.py are the models,
answer.py reads JSON out of what a model wrote.
"""
