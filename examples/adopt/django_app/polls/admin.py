"""The polls in the admin."""

from django.contrib import admin

from .models import Choice, Question


class ChoiceInline(admin.TabularInline):
    """Choices, on the page of their question."""

    model = Choice
    extra = 3


@admin.register(Question)
class QuestionAdmin(admin.ModelAdmin):
    """Questions, to list, search and change."""

    inlines = [ChoiceInline]
    list_display = ["question_text", "pub_date"]
    list_filter = ["pub_date"]
    search_fields = ["question_text"]
