"""What is seen of SQL."""
