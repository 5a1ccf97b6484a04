"""Apps as their users have them, under Outgrow and under uvicorn: both must behave alike."""
