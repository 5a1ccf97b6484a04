"""The shop as a whole: its services, and the edge through which people and programs come in."""

from examples.shop.catalogue import Catalogue
from examples.shop.mail import Mail
from examples.shop.orders import Orders
from examples.shop.payments import Payments, open_bank
from examples.shop.purchasing import Purchasing
from examples.shop.recommendations import Recommendations
from examples.shop.reports import Reports
from examples.shop.stock import Stock
from outgrow import App

shop = App(
    name="shop",
    services=[Catalogue, Stock, Purchasing, Payments, Orders, Mail, Reports, Recommendations],
    providers=[open_bank],
    edges={"web": "examples.shop.api:app"},
)
