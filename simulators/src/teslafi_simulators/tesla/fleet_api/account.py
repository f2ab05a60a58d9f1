"""Endpoints about the account ("User endpoints")."""

from typing import Any

from .access import Answer, Call
from .answers import not_found


def me(call: Call) -> Any:  # noqa: ANN401 - JSON
    """Tell who the owner is; needs `user_data`."""
    call.needs("user_data")
    account = call.state.accounts.by_sub(call.account)
    if account is None:
        raise not_found()
    return {
        "email": account.email,
        "full_name": account.full_name,
        "profile_image_url": "https://vehicle-files.teslamotors.com/profile_images/f.jpg",
        "vault_uuid": account.sub,
    }


def region(call: Call) -> Answer:
    """Tell where the account lives."""
    return {"region": call.bearer.region, "fleet_api_base_url": call.state.addresses().fleet(call.bearer.region)}


def backup_key(call: Call) -> Answer:
    """Tell the public key that belongs to the account: none was ever stored."""
    call.needs("user_data")
    raise not_found()


def orders(call: Call) -> Answer:
    """List orders: none."""
    call.needs("user_data")
    return []


def feature_config(call: Call) -> Answer:
    """Tell feature flags."""
    call.needs("user_data", "vehicle_device_data")
    return {"signaling": {"enabled": True, "subscribe_connectivity": False, "use_auth_token": False}}
