"""`script/chaos vault [ROUNDS]`: kill -9 at random moments while grants change, then look whether anything was lost.

Each round is a process of its own that opens what the round before left, and says each change aloud once the vault has
returned. What was said must be there in the next round, or something newer; nothing may fail to open.
"""

import asyncio
from collections.abc import Iterator
import os
from pathlib import Path
from random import Random
import signal
import sys
import tempfile
import time
from typing import Final, NoReturn

from homeassistant.core import HomeAssistant

from custom_components.teslafi.storage.vault import Vault

ROUNDS: Final = 150
LONGEST: Final = 0.15
"""Seconds of the longest round: some changes, each of several steps."""


def play(folder: Path, rounds: int, seed: int) -> dict[str, int]:
    """Play so many rounds; return what there was. Raise AssertionError when something was lost."""
    random = Random(seed)  # noqa: S311 - nothing secret
    said = changes = 0
    for number in range(rounds):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _run(folder, said, writing, seed + number)
        os.close(writing)
        with os.fdopen(reading, "rb") as lines:
            first = lines.readline()
            if first.startswith(b"lost"):
                os.waitpid(child, 0)
                raise AssertionError(f"round {number}: {first.decode()}")
            time.sleep(random.uniform(0.0, LONGEST))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            for line in _whole(lines.read()):
                said, changes = int(line), changes + 1
    return {"kills": rounds, "changes": changes, "said": said}


def _whole(said: bytes) -> Iterator[bytes]:
    """Yield the lines that were said to their end."""
    yield from (line for line in said.split(b"\n")[:-1] if line)


def _run(folder: Path, said: int, writing: int, seed: int) -> NoReturn:
    """Be the child: look, then change until the end."""
    try:
        asyncio.run(_change(folder, said, writing, seed))
    finally:
        os._exit(1)


async def _change(folder: Path, said: int, writing: int, seed: int) -> None:
    vault = Vault(HomeAssistant(str(folder)))
    await vault.load()
    held = int(vault.get_text("entry", "grant") or 0)
    left = [path.name for path in folder.glob(".storage/tmp*") if path.stat().st_size]
    if held < said or left:
        os.write(writing, f"lost: {held} is held, {said} was said, {left} was left\n".encode())
        return
    os.write(writing, b"found\n")
    random = Random(seed)  # noqa: S311 - nothing secret
    while True:
        if random.random() < 0.2:
            await vault.rotate_key()
        held += 1
        await vault.put_text("entry", "grant", str(held))
        os.write(writing, f"{held}\n".encode())


def main() -> None:
    """Run as a program."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        print(play(Path(folder), rounds, seed=1))


if __name__ == "__main__":
    main()
