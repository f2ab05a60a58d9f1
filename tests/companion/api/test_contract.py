"""The served companion keeps to its contract (contract/companion-api.yaml), whatever schemathesis sends."""

import asyncio
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
import pytest
import schemathesis
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from teslafi_companion.domain.links.instance import Instance
from teslafi_companion.store.database import Store

from ..oauth.linking import Http, bearer, link_up, make_account

pytestmark = pytest.mark.slow

CONTRACTS: Final = Path(__file__).parents[3] / "contract"


def operations_of(path: Path) -> dict[str, Any]:
    """Return a contract's operations by method and address."""
    contract = schemathesis.openapi.from_path(path)
    found = (result.ok() for result in contract.get_all_operations() if isinstance(result, Ok))
    return {f"{operation.method.upper()} {operation.path}": operation for operation in found}


OPERATIONS: Final = operations_of(CONTRACTS / "companion-api.yaml")
RELEASED: Final = {
    f"{path.stem} {name}": operation
    for path in sorted((CONTRACTS / "released").glob("*.yaml"))
    for name, operation in operations_of(path).items()
}


def exercise(operation: Any, mode: GenerationMode, address: str, headers: dict[str, str]) -> int:  # noqa: ANN401 - untyped
    """Send an operation's cases and hold every answer against the contract; returns how many were sent."""
    sent = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: Case[Any]) -> None:
        nonlocal sent
        sent += 1
        # A well-formed code, token or identifier is refused all the same when it is nobody's
        case.call_and_validate(
            base_url=address, headers=headers, timeout=120, excluded_checks=[positive_data_acceptance]
        )

    check()
    return sent


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_an_operation(store: Store, http: Http, name: str, mode: GenerationMode) -> None:
    operation = OPERATIONS[name]
    if mode is GenerationMode.NEGATIVE and not operation.body:
        pytest.skip("there is nothing in it that could be wrong")
    given = await link_up(store, await make_account(store), Instance("Home", "instance-0123456789"))
    address = str(http.make_url("/"))
    assert await asyncio.to_thread(
        exercise, operation, mode, address, bearer(given.access) if operation.security else {}
    )


@pytest.mark.parametrize("name", RELEASED)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_an_operation_as_it_was_released(store: Store, http: Http, name: str) -> None:
    """An integration that was not upgraded yet finds what it was promised."""
    operation = RELEASED[name]
    given = await link_up(store, await make_account(store), Instance("Home", "instance-0123456789"))
    headers = bearer(given.access) if operation.security else {}
    assert await asyncio.to_thread(exercise, operation, GenerationMode.POSITIVE, str(http.make_url("/")), headers)
