"""A notebook: notes live in the visitor's session; exports are streamed."""

import hashlib
import os
from collections.abc import Iterator

from flask import Flask, Response, flash, redirect, render_template, request, session, url_for

NOTES_MAX = 20
ROWS_MAX = 10_000_000
PIECE_BYTES = 64 * 1024

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY", "only for this example")


@app.get("/")
def index() -> str:
    """Show the notes and the form."""
    session["visits"] = session.get("visits", 0) + 1
    return render_template("index.html", notes=session.get("notes", []), visits=session["visits"])


@app.post("/notes")
def add() -> Response | tuple[str, int]:
    """Add a note; 400 for an empty one."""
    text = request.form.get("text", "").strip()[:200]
    if not text:
        return "A note needs some text.", 400
    session["notes"] = [*session.get("notes", []), text][-NOTES_MAX:]
    flash(f"Noted: {text}")
    return redirect(url_for("index"))  # type: ignore[return-value]


@app.get("/numbers.csv")
def export() -> Response:
    """Stream as many rows as asked for."""
    rows = min(request.args.get("rows", 1000, type=int), ROWS_MAX)

    def lines() -> Iterator[str]:
        yield "number,square\n"
        for first in range(0, rows, 1000):
            numbers = range(first, min(first + 1000, rows))
            yield "".join(f"{number},{number * number}\n" for number in numbers)

    return Response(lines(), mimetype="text/csv")


@app.post("/uploads")
def upload() -> dict[str, str | int]:
    """Read a body of any length piece by piece; answer its length and SHA-256."""
    digest, length = hashlib.sha256(), 0
    while piece := request.stream.read(PIECE_BYTES):
        digest.update(piece)
        length += len(piece)
    return {"bytes": length, "sha256": digest.hexdigest()}


@app.get("/broken")
def broken() -> str:
    """Fail, as apps do."""
    raise RuntimeError("broken on purpose")
