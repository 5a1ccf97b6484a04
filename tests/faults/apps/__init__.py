"""Apps that bring their own telemetry, as users have them; started by test_telemetry_of_others."""
