"""The outbox as Django's migrations know it; its rows are written and moved by statements."""

from __future__ import annotations

from django.db import models  # pyright: ignore[reportMissingTypeStubs]

from outgrow.integrations.django.outbox import TABLE


class Outgoing(models.Model):
    """An event or a job that waits to be moved: for a moment, while the app runs."""

    seq = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=16)
    body = models.BinaryField()

    class Meta:
        """Where it is kept."""

        db_table = TABLE
        verbose_name = "outgoing message"

    def __str__(self) -> str:
        return f"{self.kind} {self.seq}"
