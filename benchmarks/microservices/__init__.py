"""The example shop as HTTP microservices: an app of FastAPI for each group, the same code behind.

Each app keeps the events and jobs of its services in a file of its own. Whoever buys for the stock
stands beside it here, as nothing carries events from one app to another.

`python -m benchmarks.microservices PORT FOLDER` runs all three; PORT is the edge's.
"""
