"""What strangers may send, made by chance: `make fuzz`."""
