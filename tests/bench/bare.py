"""The peer of `script/bench companion`: a bare aiohttp handler with one indexed read on the same database.

`python -m tests.bench.bare PORT DATABASE`
"""

import sys

from aiohttp import web
from sqlalchemy import select

from teslafi_companion.crypto import token_hash
from teslafi_companion.settings import Settings
from teslafi_companion.store.database import create_engine
from teslafi_companion.store.tables import access_token

ENGINE = create_engine(Settings(database=sys.argv[2]))


async def read(request: web.Request) -> web.Response:
    """Find the row of a token, by its index."""
    token = request.headers["Authorization"].removeprefix("Bearer ")
    statement = select(access_token.c.id, access_token.c.scopes).where(access_token.c.token_hash == token_hash(token))
    async with ENGINE.connect() as connection:
        plain = await connection.execution_options(
            **(
                {"isolation_level": "AUTOCOMMIT"}
                if ENGINE.dialect.name == "postgresql"
                else {"companion_reading": "snapshot"}
            )
        )
        row = (await plain.execute(statement)).first()
    return web.json_response({"known": row is not None, "scopes": row.scopes if row else ""})


def told() -> None:
    """Say to whoever started this that it listens."""
    print("ready", flush=True)


if __name__ == "__main__":
    app = web.Application()
    app.add_routes([web.get("/read", read)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=lambda _: told(), reuse_port=True)
