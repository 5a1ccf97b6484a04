"""Clients that mean harm, or are broken: limits hold, and other clients are served meanwhile."""
