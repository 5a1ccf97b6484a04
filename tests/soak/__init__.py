"""The shop in three groups under load and unrest for a long time: `make soak`."""
