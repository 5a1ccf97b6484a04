"""The spans of an order that was placed in the shop."""

from __future__ import annotations

from outgrow.dashboard import shapes

# Name, kind, service, worker, depth, begin, end, failed, attributes, parts of the critical path.
_SPANS = (
    ("POST /orders", 2, "edge", "front/1", 0, 0.0, 142.0, [(0.0, 3.0), (140.0, 142.0)]),
    ("Orders.place", 3, "Orders", "desk/1", 1, 3.0, 140.0, [(3.0, 5.0), (132.0, 140.0)]),
    ("Catalogue.find", 3, "Catalogue", "front/1", 2, 5.0, 9.0, [(5.0, 6.0), (8.0, 9.0)]),
    ("SELECT products", 3, "Catalogue", "front/1", 3, 6.0, 8.0, [(6.0, 8.0)]),
    ("Catalogue.find", 3, "Catalogue", "front/1", 2, 5.0, 7.5, []),
    ("Payments.authorize", 3, "Payments", "desk/1", 2, 9.0, 84.0, [(9.0, 12.0), (83.0, 84.0)]),
    ("POST bank.example", 3, "Payments", "desk/1", 3, 12.0, 83.0, [(12.0, 83.0)]),
    ("Stock.reserve", 3, "Stock", "front/1", 2, 84.0, 106.0, [(84.0, 87.0), (105.0, 106.0)]),
    ("UPDATE items", 3, "Stock", "front/1", 3, 87.0, 93.0, [(87.0, 93.0)]),
    ("UPDATE items", 3, "Stock", "front/1", 3, 93.0, 99.0, [(93.0, 99.0)]),
    ("UPDATE items", 3, "Stock", "front/1", 3, 99.0, 105.0, [(99.0, 105.0)]),
    ("INSERT orders", 3, "Orders", "desk/1", 2, 106.0, 112.0, [(106.0, 112.0)]),
    ("INSERT lines", 3, "Orders", "desk/1", 2, 112.0, 116.0, [(112.0, 116.0)]),
    ("Payments.capture", 3, "Payments", "desk/1", 2, 116.0, 132.0, [(116.0, 132.0)]),
)


def waterfall() -> list[shapes.Span]:
    """The spans of an order that was placed."""
    spans: list[shapes.Span] = []
    parents = [""]
    for number, (name, kind, service, worker, depth, begin, end, critical) in enumerate(_SPANS, 1):
        attributes: dict[str, str | int | float | bool] = {"outgrow.worker": worker}
        if name.split(" ")[0] in ("SELECT", "INSERT", "UPDATE"):
            attributes = {
                "db.system.name": "sqlite",
                "db.query.text": f"{name} SET pieces = pieces - ? WHERE sku = ? AND pieces >= ?",
            }
        if name.endswith("bank.example"):
            attributes = {"server.address": "bank.example", "http.request.method": "POST"}
        spans.append(
            shapes.Span(
                span_id=f"{number:016x}",
                parent_id=parents[depth],
                name=name,
                kind=kind,
                service=service,
                worker=worker,
                offset_ms=begin,
                duration_ms=end - begin,
                depth=depth,
                is_error=False,
                kept_for="slow" if depth == 0 else "",
                attributes=attributes,
                critical=critical,
            )
        )
        parents[depth + 1 :] = [f"{number:016x}"]
    return spans
