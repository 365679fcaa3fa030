"""Who may call: organizations, their users, and their API keys. Read service.py next."""
