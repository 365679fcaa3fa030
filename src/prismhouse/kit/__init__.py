"""Small pure values: ids, clock, json, cursors, error codes. Imports nothing of ours."""
