"""The example shop as HTTP microservices: an app of FastAPI for each group, the same code behind.

`python -m benchmarks.microservices PORT FOLDER` runs all three; PORT is the edge's.
"""
