"""What lies outside: calls that leave this process for a database, a server or a cache, seen."""
