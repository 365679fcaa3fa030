"""Requests that leave the process: guarded against private addresses, bounded in time and size."""
