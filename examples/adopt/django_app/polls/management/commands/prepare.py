"""Gets the project ready to be looked at."""

import os
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection, transaction
from django.utils import timezone

from polls.models import Choice, Question, Vote

POLLS = {
    "What's up?": ("Not much", "The sky", "Just hacking again"),
    "Tea or coffee?": ("Tea", "Coffee", "Water"),
    "Tabs or spaces?": ("Tabs", "Spaces"),
}
FIRST_VOTE = datetime(2026, 1, 1, tzinfo=UTC)
CAST = """
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < %s)
INSERT INTO polls_vote (choice_id, cast_at)
SELECT %s + n %% %s, datetime(%s, '+' || n || ' seconds') FROM numbers
"""


class Command(BaseCommand):
    """Migrates, makes the user `admin`, some polls and many votes; may run again."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the number of votes."""
        parser.add_argument("--votes", type=int, default=1_000_000)

    def handle(self, *_args: object, **options: int) -> None:
        """Do it."""
        Path(settings.DATABASE).parent.mkdir(parents=True, exist_ok=True)
        call_command("migrate", verbosity=0)
        users = get_user_model()
        if not users.objects.filter(username="admin").exists():
            password = os.environ.get("DJANGO_SUPERUSER_PASSWORD", "admin")
            users.objects.create_superuser("admin", "admin@example.org", password)
        if not Question.objects.exists():
            with transaction.atomic():
                _polls()
                _votes(options["votes"])
        self.stdout.write(f"Ready: {Question.objects.count()} polls, {Vote.objects.count()} votes.")


def _polls() -> None:
    for text, answers in POLLS.items():
        question = Question.objects.create(question_text=text, pub_date=timezone.now())
        for answer in answers:
            Choice.objects.create(question=question, choice_text=answer)


def _votes(count: int) -> None:
    choices = list(Choice.objects.order_by("pk"))
    if count:
        with connection.cursor() as cursor:
            cursor.execute(
                CAST, [count, choices[0].pk, len(choices), FIRST_VOTE.strftime("%Y-%m-%d %H:%M:%S")]
            )
    for place, choice in enumerate(choices):
        choice.votes = len(range(place, count, len(choices)))
        choice.save()
