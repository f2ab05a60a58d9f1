"""The companion, noting each contact of a link: `python -m tests.bench.each_contact serve`.

A Home Assistant asks every ten minutes, and each time its contact is noted. A bench asks for the same few links all the
time, whose contact is only noted once a minute: it would measure reads alone.
"""

from datetime import timedelta
import sys

from teslafi_companion.domain.links import lifetimes

# Before anything else reads it
lifetimes.CONTACT = timedelta()  # type: ignore[misc]

if __name__ == "__main__":
    from teslafi_companion import cli

    sys.exit(cli.main(sys.argv[1:]))
