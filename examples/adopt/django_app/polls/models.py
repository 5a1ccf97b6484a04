"""Questions, their choices, and every vote."""

from django.db import models


class Question(models.Model):
    """Something to vote on."""

    question_text = models.CharField(max_length=200)
    pub_date = models.DateTimeField("date published")

    def __str__(self) -> str:
        return str(self.question_text)


class Choice(models.Model):
    """One answer to a question."""

    question = models.ForeignKey(Question, on_delete=models.CASCADE)
    choice_text = models.CharField(max_length=200)
    votes = models.IntegerField(default=0)

    def __str__(self) -> str:
        return str(self.choice_text)


class Vote(models.Model):
    """One vote, as it was cast."""

    choice = models.ForeignKey(Choice, on_delete=models.CASCADE)
    cast_at = models.DateTimeField()
