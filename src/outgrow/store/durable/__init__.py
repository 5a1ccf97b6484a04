"""Durable work: the log of events, the queues of jobs, and what keeps their promises."""
