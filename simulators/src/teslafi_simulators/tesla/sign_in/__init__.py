"""The pages and endpoints of auth.tesla.com, auth.tesla.cn and fleet-auth.prd.vn.cloud.tesla.com."""

from .routes import sign_in_routes
from .token import SignInFaults

__all__ = ["SignInFaults", "sign_in_routes"]
