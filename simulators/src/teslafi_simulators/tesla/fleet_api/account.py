"""Endpoints about the account, the application and energy sites."""

from typing import Any

from ..energy.site import Site
from .access import Call
from .answers import Refused, not_found
from .reading import whole_number


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


def region(call: Call) -> Any:  # noqa: ANN401
    """Tell where the account lives."""
    return {"region": call.bearer.region, "fleet_api_base_url": call.state.addresses().fleet(call.bearer.region)}


def backup_key(call: Call) -> Any:  # noqa: ANN401
    """Tell the public key that belongs to the account: none was ever stored."""
    call.needs("user_data")
    raise not_found()


def orders(call: Call) -> Any:  # noqa: ANN401
    """List orders: none."""
    call.needs("user_data")
    return []


def feature_config(call: Call) -> Any:  # noqa: ANN401
    """Tell feature flags."""
    call.needs("user_data", "vehicle_device_data")
    return {"signaling": {"enabled": True, "subscribe_connectivity": False, "use_auth_token": False}}


def _partner(call: Call) -> None:
    if call.bearer.kind != "partner":
        raise Refused(403, "Unauthorized")


def partner_public_key(call: Call) -> Any:  # noqa: ANN401
    """Tell the public key that Tesla fetched from the application's domain."""
    _partner(call)
    application = call.state.applications.by_client_id(call.bearer.client_id)
    if application is None or application.public_key is None:
        raise not_found()
    return {"public_key": application.public_key}


def partner_register(call: Call) -> Any:  # noqa: ANN401
    """Register the application in this region."""
    _partner(call)
    application = call.state.applications.by_client_id(call.bearer.client_id)
    if application is None or call.region is None:
        raise not_found()
    if application.public_key is None:
        raise Refused(424, "Public key download failed")
    application.regions.add(call.region)
    return {
        "client_id": application.client_id,
        "name": application.name,
        "domain": application.domain,
        "ca": None,
        "enterprise_tier": "pay_as_you_go",
        "public_key": application.public_key,
    }


def partner_errors(call: Call) -> Any:  # noqa: ANN401
    """List streaming errors of the application's cars: none."""
    _partner(call)
    return {"fleet_telemetry_errors": []}


def _site(call: Call) -> Site:
    call.needs("energy_device_data", "energy_cmds")
    site = call.state.sites.get(whole_number(call.request.match_info["site"]) or 0)
    if site is None or site.owner != call.account:
        raise not_found()
    site.advance(call.state.clock())
    return site


def live_status(call: Call) -> Any:  # noqa: ANN401
    """Tell the site's powers."""
    return _site(call).live_status()


def site_info(call: Call) -> Any:  # noqa: ANN401
    """Tell what the site consists of."""
    return _site(call).site_info()


def calendar_history(call: Call) -> Any:  # noqa: ANN401
    """Tell the site's energy or power over time."""
    kind = call.request.query.get("kind", "")
    if kind not in ("energy", "power", "backup"):
        raise Refused(400, "invalid_request")
    return _site(call).calendar_history(kind)


def telemetry_history(call: Call) -> Any:  # noqa: ANN401
    """Tell the wall connectors' charges: none yet."""
    _site(call)
    return {"charge_history": []}
