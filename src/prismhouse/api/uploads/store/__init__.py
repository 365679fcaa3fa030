"""Every statement about uploads: rows and their states, lists, and what a sweep asks."""
