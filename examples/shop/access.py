"""What the shop's routes may ask for: its services."""

from typing import Annotated

from fastapi import Depends

from examples.shop.catalogue import Catalogue
from examples.shop.mail import Mail
from examples.shop.orders import Orders
from examples.shop.purchasing import Purchasing
from examples.shop.recommendations import Recommendations
from examples.shop.reports import Reports
from examples.shop.stock import Stock
from outgrow import uses

TheCatalogue = Annotated[Catalogue, Depends(uses(Catalogue))]
TheMail = Annotated[Mail, Depends(uses(Mail))]
TheOrders = Annotated[Orders, Depends(uses(Orders))]
ThePurchasing = Annotated[Purchasing, Depends(uses(Purchasing))]
TheRecommendations = Annotated[Recommendations, Depends(uses(Recommendations))]
TheReports = Annotated[Reports, Depends(uses(Reports))]
TheStock = Annotated[Stock, Depends(uses(Stock))]
