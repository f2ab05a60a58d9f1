"""HAProxy as hosting/haproxy/ has it, in front of servers on loopback."""

import asyncio
from collections.abc import Sequence
import os
from pathlib import Path
import re
from typing import Final

HAPROXY: Final = Path(__file__).parents[2] / "hosting" / "haproxy"


def with_sbin() -> dict[str, str]:
    """Return an environment that finds what Debian installs for administrators."""
    return {"PATH": f"{os.environ['PATH']}:/usr/sbin"}


async def haproxy(folder: Path, port: int, servers: Sequence[int], socket: Path) -> asyncio.subprocess.Process:
    """Start it with the file that operators get and the addresses of this run; server N is `companion/pN`."""
    configuration = folder / "haproxy.cfg"
    configuration.write_text(_configured(port, servers, socket), encoding="ascii")
    with (folder / "haproxy.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            "haproxy", "-db", "-f", str(configuration), stdout=log, stderr=log, env=with_sbin()
        )


def _configured(port: int, servers: Sequence[int], socket: Path) -> str:
    said = (HAPROXY / "haproxy.cfg").read_text(encoding="ascii")
    said = said.replace("/etc/haproxy/", f"{HAPROXY}/").replace("/run/haproxy/admin.sock", str(socket))
    said = said.replace("abns@companion", f"abns@companion-{port}")
    said = re.sub(r"bind :443 .*", f"bind 127.0.0.1:{port}", said)
    lines = "\n".join(f"    server p{number} 127.0.0.1:{server}" for number, server in enumerate(servers))
    return re.sub(r"(?:    server \w+ 127.*\n)+", f"{lines}\n", said)
