"""A small tea and kitchen shop: an ordinary FastAPI app on SQLAlchemy and SQLite."""
