"""Store a log in SQLite or PostgreSQL."""
