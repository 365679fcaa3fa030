"""Other stores that hold the same documents and answer the same questions, each in a process of its own.

`runner.py` starts them, in environments of their own where they need packages; `asking.py` is what they share.
"""
