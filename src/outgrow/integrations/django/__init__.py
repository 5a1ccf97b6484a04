"""An app for `INSTALLED_APPS`: what is published in `transaction.atomic()` commits with it."""
