"""The pages of the polls."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views import generic

from .models import Choice, Question, Vote

CHUNK_ROWS = 2_000
HEADING = "id,choice,cast_at\n"

Row = tuple[int, str, datetime]


class IndexView(generic.ListView):
    """The latest questions."""

    template_name = "polls/index.html"
    context_object_name = "latest_question_list"

    def get_queryset(self) -> QuerySet[Question]:
        """Return the last five published questions."""
        return Question.objects.filter(pub_date__lte=timezone.now()).order_by("-pub_date")[:5]


class DetailView(generic.DetailView):
    """A question with its form."""

    model = Question
    template_name = "polls/detail.html"


class ResultsView(generic.DetailView):
    """The votes of a question."""

    model = Question
    template_name = "polls/results.html"


def vote(request: HttpRequest, question_id: int) -> HttpResponse:
    """Count a vote."""
    question = get_object_or_404(Question, pk=question_id)
    choice = Choice.objects.filter(question=question, pk=request.POST.get("choice") or 0).first()
    if choice is None:
        shown = {"question": question, "error_message": "You didn't select a choice."}
        return render(request, "polls/detail.html", shown)
    with transaction.atomic():
        Choice.objects.filter(pk=choice.pk).update(votes=F("votes") + 1)
        Vote.objects.create(choice=choice, cast_at=timezone.now())
    return HttpResponseRedirect(reverse("polls:results", args=(question_id,)))


def export(request: HttpRequest) -> StreamingHttpResponse:
    """Stream every vote as CSV."""
    # Django collects a plain iterator whole before it sends it over ASGI, and an async one over
    # WSGI: each server gets its own kind.
    lines = _async_lines() if isinstance(request, ASGIRequest) else _lines()
    answer = StreamingHttpResponse(lines, content_type="text/csv")
    answer["Content-Disposition"] = 'attachment; filename="votes.csv"'
    return answer


def _lines() -> Iterator[str]:
    yield HEADING
    last = 0
    while rows := _rows_after(last):
        yield _written(rows)
        last = rows[-1][0]


async def _async_lines() -> AsyncIterator[str]:
    yield HEADING
    last = 0
    while rows := await sync_to_async(_rows_after)(last):
        yield _written(rows)
        last = rows[-1][0]


def _rows_after(last: int) -> list[Row]:
    # By key, not by one long cursor: no reader holds the file for as long as a client takes.
    votes = Vote.objects.filter(pk__gt=last).order_by("pk")
    return list(votes.values_list("pk", "choice__choice_text", "cast_at")[:CHUNK_ROWS])


def _written(rows: list[Row]) -> str:
    return "".join(f"{pk},{choice},{cast_at:%Y-%m-%d %H:%M:%S}\n" for pk, choice, cast_at in rows)
