"""The polls app."""

from django.apps import AppConfig


class PollsConfig(AppConfig):
    """How Django knows it."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "polls"
