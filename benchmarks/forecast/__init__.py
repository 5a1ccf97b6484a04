"""Forecasts against simulated systems with planted limits: predicted against measured."""
