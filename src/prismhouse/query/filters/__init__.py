"""One filter language: parse to a tree, compile to SQL, evaluate in Python."""
