"""Makes TeslaFi take the simulator for Tesla: the component's table of addresses is replaced, in this process only.

The component has no setting for its addresses, so that no setting can send a token elsewhere.
"""

from custom_components.teslafi.tesla.servers import OWNER_API, SERVERS, Server
from teslafi_simulators.tesla.addresses import Addresses, Region


def use_simulator(base_url: str) -> None:
    """Replace Tesla's addresses by those of the simulator at `base_url`."""
    addresses = Addresses(base_url)
    for region in SERVERS:
        SERVERS[region] = Server(
            api=addresses.fleet(region), authorize=addresses.authorize(region), token=addresses.token(region)
        )
    for part in OWNER_API:
        home: Region = "cn" if part == "cn" else "na"
        OWNER_API[part] = Server(
            api=addresses.owner_api, authorize=addresses.authorize(home), token=addresses.owner_token(home)
        )
