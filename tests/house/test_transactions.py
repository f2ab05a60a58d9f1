"""Inside a transaction the database alone is waited for: a visitor's body or a provider would hold up all others."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import teslafi_companion

ROOT: Final = Path(teslafi_companion.__file__).parent
OPENED: Final = {"transaction", "reading"}
ALLOWED: Final[Mapping[str, str]] = {
    "rotation.py keys.current.wrap": "an operator's command, which may wait for KMS",
    "rotation.py old.unwrap": "the same",
}


def foreign(tree: ast.AST) -> Iterator[str]:
    """Give what is awaited inside a transaction without being given that transaction."""
    for block in ast.walk(tree):
        if not isinstance(block, ast.AsyncWith):
            continue
        names = {
            item.optional_vars.id
            for item in block.items
            if isinstance(item.context_expr, ast.Call)
            and isinstance(item.context_expr.func, ast.Attribute)
            and item.context_expr.func.attr in OPENED
            and isinstance(item.optional_vars, ast.Name)
        }
        if not names:
            continue
        for waiting in (one for line in block.body for one in ast.walk(line) if isinstance(one, ast.Await)):
            call = waiting.value
            if not isinstance(call, ast.Call):
                yield ast.unparse(call)
                continue
            parts = [call.func, *call.args, *(keyword.value for keyword in call.keywords)]
            # A nested await is looked at by itself: what it is given does not count for the one around it
            known = {
                one.id
                for part in parts
                if not isinstance(part, ast.Await)
                for one in ast.walk(part)
                if isinstance(one, ast.Name)
            }
            if not names & known:
                yield ast.unparse(call.func)


def test_inside_a_transaction_only_the_database_is_waited_for() -> None:
    found = {
        f"{file.relative_to(ROOT)} {what}"
        for file in ROOT.rglob("*.py")
        for what in foreign(ast.parse(file.read_text("utf-8")))
    }
    assert found == set(ALLOWED)


def test_what_waits_for_others_is_seen() -> None:
    code = """
async def page(request, store, billing):
    async with store.transaction() as transaction:
        await find(transaction, await typed(request, "code"))
        await billing.customer(1)
        await transaction.execute(1)
        async with store.reading() as other:
            await find(other)
"""
    assert set(foreign(ast.parse(code))) == {"typed", "billing.customer", "find"}
