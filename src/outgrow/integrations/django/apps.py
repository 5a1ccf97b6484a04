"""The app as Django installs it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import AppConfig  # pyright: ignore[reportMissingTypeStubs]

from outgrow.host import carry_by
from outgrow.integrations.django.outbox import DjangoCarrier


class OutgrowConfig(AppConfig):
    """Has transactions of Django carry events and jobs."""

    name = "outgrow.integrations.django"
    label = "outgrow"
    verbose_name = "Outgrow"

    def ready(self) -> None:
        """Carry what is published in a transaction, and find services when the app is imported.

        URLs are imported with the first request, which would be too late for jobs that wait.
        """
        carry_by(DjangoCarrier())
        loading: Any = import_module("django.utils.module_loading")
        loading.autodiscover_modules("services")
