"""Runs Home Assistant in front of the simulator: `python -m tests.live.launch SIMULATOR_URL HASS_ARGUMENTS…`."""

import sys

from homeassistant.__main__ import main

from .parent import end_with_parent
from .simulated_tesla import use_simulator

if __name__ == "__main__":
    end_with_parent()
    use_simulator(sys.argv[1])
    sys.argv = ["hass", *sys.argv[2:]]
    sys.exit(main())
