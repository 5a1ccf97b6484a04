"""Makes the outbox."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models  # pyright: ignore[reportMissingTypeStubs]


class Migration(migrations.Migration):
    """The first version."""

    initial = True
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations: ClassVar[list[object]] = [
        migrations.CreateModel(
            name="Outgoing",
            fields=[
                ("seq", models.BigAutoField(primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=16)),
                ("body", models.BinaryField()),
            ],
            options={"db_table": "outgrow_django_outbox", "verbose_name": "outgoing message"},
        ),
    ]
