"""A small tea and kitchen shop: six services, each with a database of its own, behind FastAPI."""
