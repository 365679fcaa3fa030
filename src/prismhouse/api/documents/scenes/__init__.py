"""Scenes of videos as files: service.py cuts one when it is first asked for and keeps it with its document."""
