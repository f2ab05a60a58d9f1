"""`python -m teslafi_simulators.chargebee`: a simulated Chargebee until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import json
import signal
import sys

from .simulator import ChargebeeSimulator


async def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m teslafi_simulators.chargebee")
    parser.add_argument("--port", type=int, default=8200)
    parser.add_argument("--webhook", default="", help="where to send webhooks")
    parser.add_argument("--webhook-user", default="chargebee")
    parser.add_argument("--webhook-password", default="")
    arguments = parser.parse_args()
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    simulator = ChargebeeSimulator()
    simulator.sender.url = arguments.webhook
    simulator.sender.user, simulator.sender.password = arguments.webhook_user, arguments.webhook_password
    await simulator.start(port=arguments.port, sends=True)
    sys.stdout.write(json.dumps({"url": simulator.url}) + "\n")
    sys.stdout.flush()
    await stop.wait()
    await simulator.stop()


if __name__ == "__main__":
    asyncio.run(main())
