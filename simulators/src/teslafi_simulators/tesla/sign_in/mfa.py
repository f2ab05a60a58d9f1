"""The JSON endpoints behind the passcode page, as programs used them in 2020 and 2021.

Shapes: recorded traffic of timdorr/tesla-api. A wrong passcode is answered 200 with `"valid": false`.
"""

from datetime import UTC, datetime
from http import HTTPStatus
import json
from typing import Any, Final
from uuid import uuid4

from aiohttp import web

from ..accounts import Account, MfaDevice
from .authorize import PATH as AUTHORIZE
from .hosts import Host
from .session import Transaction
from .steps import SignInContext, SignInSteps

FACTORS: Final = f"{AUTHORIZE}/mfa/factors"
VERIFY: Final = f"{AUTHORIZE}/mfa/verify"
BACKUP: Final = f"{AUTHORIZE}/mfa/backupcodes/attempt"


class Mfa:
    """The endpoints on one host."""

    def __init__(self, context: SignInContext, host: Host) -> None:
        """Serve `host`."""
        self._context = context
        self._steps = SignInSteps(context, host.deployment)

    async def factors(self, request: web.Request) -> web.Response:
        """List the devices of the account whose password was given."""
        found = self._found(request, request.query.get("transaction_id", ""))
        if found is None:
            return _refused()
        return web.json_response({"data": [_factor(device) for device in found[1].devices]})

    async def verify(self, request: web.Request) -> web.Response:
        """Check a passcode of one device."""
        said = await _json(request)
        found = self._found(request, said.get("transaction_id", ""))
        if found is None:
            return _refused()
        factor_id, passcode = said.get("factor_id", ""), said.get("passcode", "")
        problem = self._steps.passcode(*found, passcode, factor_id=factor_id)
        now = _timestamp(self._context.clock())
        return web.json_response(
            {
                "data": {
                    "id": str(uuid4()),
                    "challengeId": str(uuid4()),
                    "factorId": factor_id,
                    "passCode": passcode,
                    "approved": True,
                    "flagged": False,
                    "valid": problem is None,
                    "createdAt": now,
                    "updatedAt": now,
                }
            }
        )

    async def attempt_backup(self, request: web.Request) -> web.Response:
        """Spend a backup passcode."""
        said = await _json(request)
        found = self._found(request, said.get("transaction_id", ""))
        if found is None:
            return _refused()
        account = found[1]
        problem = self._steps.backup_passcode(*found, said.get("backup_code", ""))
        remaining = self._context.passcodes.remaining(account.sub)
        return web.json_response(
            {
                "data": {
                    "valid": problem is None,
                    "reason": None,
                    "message": problem.text if problem else None,
                    "enrolled": True,
                    "generatedAt": _timestamp(account.backup_passcodes_generated_at),
                    "codesRemaining": len(account.backup_passcodes),
                    "attemptsRemaining": remaining,
                    "locked": not remaining,
                }
            }
        )

    def _found(self, request: web.Request, transaction_id: str) -> tuple[Transaction, Account] | None:
        """Find this browser's transaction, past its password and before its passcode."""
        sessions = self._context.sessions
        transaction = sessions.transaction(sessions.of(request), transaction_id, Transaction)
        account = transaction.known if transaction is not None else None
        return None if transaction is None or account is None else (transaction, account)


async def _json(request: web.Request) -> dict[str, str]:
    """Return the texts of a JSON object; nothing of anything else."""
    try:
        said: Any = json.loads(await request.read())
    except ValueError:
        return {}
    return {name: value for name, value in said.items() if isinstance(value, str)} if isinstance(said, dict) else {}


def _factor(device: MfaDevice) -> dict[str, Any]:
    activated = _timestamp(device.activated_at)
    return {
        "dispatchRequired": False,
        "id": device.id,
        "name": device.name,
        "factorType": "token:software",
        "factorProvider": "TESLA",
        "securityLevel": 1,
        "activatedAt": activated,
        "updatedAt": activated,
    }


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _refused() -> web.Response:
    """Answer a request outside of a sign-in; Tesla's own answer to it is not known."""
    body = {"error": "invalid_request", "error_description": "No sign-in is under way"}
    return web.json_response(body, status=HTTPStatus.BAD_REQUEST)
