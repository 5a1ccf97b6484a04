"""Where the shop's databases are, for those who want them elsewhere than in `.outgrow`."""

from pathlib import Path

DATABASES = ("catalogue", "stock", "purchasing", "orders", "payments", "mail", "reports")


def databases_in(folder: Path) -> dict[str, str]:
    """The environment in which the services keep their databases in this folder."""
    return {
        f"{name.upper()}_DATABASE_URL": f"sqlite:///{folder.resolve() / name}.db"
        for name in DATABASES
    }
