"""The REST layer (contract sections 1, 2 and 4 to 6): one module per resource."""

from candy_core.web.application import make_application
from candy_core.web.server import Runner
from candy_core.web.services import Services

__all__ = ["Runner", "Services", "make_application"]
