"""Apps to run with Outgrow, and the demo that runs one of them."""
