"""The page for people: server-rendered, works without scripts, asks nothing of the network."""

import secrets
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.templating import Jinja2Templates

from examples.shop import basket
from examples.shop.access import TheCatalogue, TheOrders, TheRecommendations, TheStock
from examples.shop.assortment import CATEGORIES
from examples.shop.catalogue import Catalogue, Product, UnknownProductError
from examples.shop.order import Buyer
from examples.shop.orders import EMAIL, EmptyBasketError
from examples.shop.payments import DeclinedError, token_of
from examples.shop.stock import Pieces, SoldOutError

CUSTOMER = "customer"
YEAR_SECONDS = 365 * 24 * 3600

router = APIRouter()
templates = Jinja2Templates(Path(__file__).parent / "templates")


def money(cents: int) -> str:
    """Cents as people read them."""
    return f"€ {cents / 100:,.2f}"


templates.env.filters["money"] = money


@router.get("/")
async def home(
    request: Request,
    catalogue: TheCatalogue,
    search: str = "",
    category: str = "",
    number: Annotated[int, Query(alias="page", ge=1, le=10_000)] = 1,
) -> Response:
    """Show the products, searched and page by page."""
    shelf = await catalogue.search(search, category=category, page=number)
    return _page(request, "home.html", shelf=shelf, search=search, category=category)


@router.get("/shop/{sku}")
async def product(request: Request, sku: str, catalogue: TheCatalogue, stock: TheStock) -> Response:
    """Show one product; the page's script adds what is bought together."""
    try:
        found = await catalogue.find(sku)
    except UnknownProductError:
        return _page(request, "missing.html", status_code=404, what=f"a product {sku}")
    return _page(request, "product.html", product=found, pieces=await stock.pieces_left(sku))


@router.get("/shop/{sku}/together")
async def together(request: Request, sku: str, recommendations: TheRecommendations) -> Response:
    """Show what is bought together, as a piece of page."""
    products = await recommendations.bought_together(sku, count=4)
    return templates.TemplateResponse(request, "cards.html", {"products": products})


@router.get("/basket")
async def show_basket(request: Request, catalogue: TheCatalogue) -> Response:
    """Show the basket and the order form."""
    return await _basket_page(request, catalogue)


@router.post("/basket")
async def change_basket(
    request: Request, sku: Annotated[str, Form()], count: Annotated[int, Form(ge=0)]
) -> Response:
    """Put so many pieces into the basket."""
    pieces = basket.changed(_basket(request), sku, count)
    return _with_basket(RedirectResponse("/basket", status_code=303), pieces)


@router.post("/checkout")
async def checkout(
    request: Request,
    catalogue: TheCatalogue,
    orders: TheOrders,
    email: Annotated[str, Form(max_length=200, pattern=EMAIL)],
    card: Annotated[str, Form(max_length=40)],
) -> Response:
    """Place the order of the basket; show the basket again if that fails, saying why."""
    customer = request.cookies.get(CUSTOMER) or secrets.token_urlsafe(16)
    digits = "".join(character for character in card if character.isdigit())
    buyer = Buyer(customer=customer, email=email, card=token_of(digits))
    wanted = tuple(Pieces(*each) for each in _basket(request).items())
    try:
        order = await orders.place(wanted, buyer)
    except EmptyBasketError:
        problem = "There is nothing in it yet."
    except DeclinedError:
        problem = "Your bank declined this card. Nothing was charged."
    except SoldOutError as error:
        problem = f"Too few pieces of {error} are left. Nothing was charged."
    except UnknownProductError as error:
        problem = f"We no longer sell {error}."
    else:
        answer = RedirectResponse(f"/history?placed={order.id}", status_code=303)
        answer.set_cookie(CUSTOMER, customer, max_age=YEAR_SECONDS, httponly=True, samesite="lax")
        return _with_basket(answer, {})
    return await _basket_page(request, catalogue, problem=problem, email=email)


@router.get("/history")
async def history(request: Request, orders: TheOrders, placed: int = 0) -> Response:
    """Show this browser's orders."""
    customer = request.cookies.get(CUSTOMER)
    found = await orders.history(customer) if customer else ()
    return _page(request, "history.html", orders=found, placed=placed)


@router.get("/picture/{sku}.svg")
async def picture(request: Request, sku: str, catalogue: TheCatalogue) -> Response:
    """Draw a product."""
    try:
        found = await catalogue.find(sku)
    except UnknownProductError as error:
        raise HTTPException(404) from error
    return templates.TemplateResponse(
        request,
        "picture.svg",
        {"product": found},
        media_type="image/svg+xml",
        headers={"Cache-Control": "max-age=3600"},
    )


def _basket(request: Request) -> dict[str, int]:
    return basket.parse(request.cookies.get(basket.COOKIE, ""))


def _with_basket(answer: Response, pieces: dict[str, int]) -> Response:
    answer.set_cookie(
        basket.COOKIE, basket.written(pieces), max_age=YEAR_SECONDS, httponly=True, samesite="lax"
    )
    return answer


async def _basket_page(
    request: Request, catalogue: Catalogue, *, problem: str = "", email: str = ""
) -> Response:
    pieces = _basket(request)
    products = {product.sku: product for product in await catalogue.find_all(tuple(pieces))}
    lines: list[tuple[Product, int]] = [
        (products[sku], count) for sku, count in pieces.items() if sku in products
    ]
    total_cents = sum(product.price_cents * count for product, count in lines)
    return _page(
        request, "basket.html", lines=lines, total_cents=total_cents, problem=problem, email=email
    )


def _page(request: Request, template: str, *, status_code: int = 200, **shown: Any) -> Response:
    shown["basket_count"] = sum(_basket(request).values())
    shown["categories"] = CATEGORIES
    return templates.TemplateResponse(request, template, shown, status_code=status_code)
