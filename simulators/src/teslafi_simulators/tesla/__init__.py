"""A strict stand-in for Tesla: sign-in, tokens and Fleet API on one port.

Start a `TeslaSimulator`, use its `addresses`, steer it with `control` (in the same process) or with `POST
/control/<method>` and the method's arguments as JSON (from elsewhere).

Faults (`faults.py`) are ordered by `control.fault(...)`, or `POST /control/fault`; several may wait, the first that
fits strikes:

```
control.fault(path="*/vehicle_data", kind="status", status=403, body={"error": "..."}, times=None)   # for ever
control.fault(path="*/vehicle_data", vin=VIN, kind="status", status=429, headers={"Retry-After": "60"})  # one car, once
control.fault(path="*/signed_command", kind="drop")                  # carried out, the answer is lost
control.fault(path="*/signed_command", kind="drop", executes=False)  # lost on the way there
control.fault(path="*", kind="status", status=502, seconds=2, skip=3, times=5)  # the fourth to eighth request, late
control.fault(path="*/token", method="POST", kind="delay", seconds=30)
control.fault(path="*/products", kind="segments", pause=0.2)         # the right answer in two TCP segments
control.fault(path="*/products", kind="cut")                         # half of it
control.fault(path="*/wake_up", kind="redirect", status=307)         # control.strays() tells who followed
control.fault(path="*/products", kind="large", size=10_000_000)
control.fault(path="*/products", kind="deep", depth=100_000)
control.fault(path="*/vehicle_data", kind="values", values={"charge_state.battery_level": "full"})
control.fault(path="*", kind="garbage", begins=moment, ends=moment + 3600)      # for an hour of the simulator's clock
```

`control.exchanges()` has every request with its time, status, category and price; `control.bills()` what each developer
account owes, `control.counters()` the requests of each owner. `control.reset_counters()` begins anew.
"""

from .clock import ManualClock
from .simulator import TeslaSimulator

__all__ = ["ManualClock", "TeslaSimulator"]
