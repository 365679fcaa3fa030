"""The one database: embedded server, pool and units of work, migrations, vector tables. Read database.py next."""
