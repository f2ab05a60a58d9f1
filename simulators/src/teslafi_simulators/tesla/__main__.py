"""`python -m teslafi_simulators.tesla`: a simulator until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import json
import signal
import sys

from .scenario import SCENARIOS
from .simulator import TeslaSimulator


async def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m teslafi_simulators.tesla")
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="demo")
    parser.add_argument("--redirect-uri", action="append", default=[], help="also allowed for the applications")
    parser.add_argument("--seed", type=int, help="let the cars live by themselves, the same days for the same seed")
    arguments = parser.parse_args()
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    simulator = TeslaSimulator(
        scenario=arguments.scenario, redirect_uris=tuple(arguments.redirect_uri), seed=arguments.seed
    )
    await simulator.start(port=arguments.port)
    accounts = {account.email: account.password for account in simulator.accounts}
    sys.stdout.write(json.dumps({"url": simulator.url, "accounts": accounts}) + "\n")
    sys.stdout.flush()
    await stop.wait()
    await simulator.stop()


if __name__ == "__main__":
    asyncio.run(main())
