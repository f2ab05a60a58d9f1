"""A third provider is one folder: it is found, told its own settings, opened, and may bring its own words."""

from collections.abc import Iterator
from importlib import invalidate_caches
from pathlib import Path
import sys
from textwrap import dedent

import pytest

from teslafi_companion import adapters
from teslafi_companion.adapters import registry
from teslafi_companion.adapters.registry import billing_providers, open_billing
from teslafi_companion.configuration import load_settings
from teslafi_companion.settings import UnsafeSetting

FOLDER = '''
    """Subscriptions kept in a shoe box."""
    from dataclasses import dataclass
    from teslafi_companion.adapters.free.billing import FreeOfCharge
    from teslafi_companion.domain.billing.port import BillingProvider
    from teslafi_companion.settings import KeeperSettings, UnsafeSetting

    @dataclass(frozen=True, kw_only=True)
    class ShoeBoxSettings(KeeperSettings):
        shelf: int = 0

        def __post_init__(self):
            if not self.shelf:
                raise UnsafeSetting("shoebox_shelf is missing.")

    class ShoeBox(FreeOfCharge):
        required = True
        keeper = "the shoe box"

        def __init__(self, shelf):
            self.shelf = shelf

    async def open_box(settings):
        return ShoeBox(settings.keeper.shelf)

    BILLING = BillingProvider("shoebox", ShoeBoxSettings, open_box)
'''
SET = {"TESLAFI_COMPANION_BILLING": "shoebox", "TESLAFI_COMPANION_SHOEBOX_SHELF": "7"}


@pytest.fixture
def shoe_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Add a folder to the adapters: nothing else is touched."""
    folder = tmp_path / "shoebox"
    folder.mkdir()
    (folder / "__init__.py").write_text(dedent(FOLDER))
    monkeypatch.setattr(adapters, "__path__", [*adapters.__path__, str(tmp_path)])
    invalidate_caches()
    billing_providers.cache_clear()
    yield
    billing_providers.cache_clear()
    sys.modules.pop(f"{adapters.__name__}.shoebox", None)


@pytest.mark.usefixtures("shoe_box")
async def test_a_folder_is_enough() -> None:
    settings = load_settings(SET)
    assert settings.billing == "shoebox"
    keeper = await open_billing(settings)
    assert (keeper.keeper, vars(keeper)) == ("the shoe box", {"shelf": 7})


@pytest.mark.usefixtures("shoe_box")
@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"TESLAFI_COMPANION_BILLING": "shoebox"}, "shoebox_shelf is missing"),
        ({**SET, "TESLAFI_COMPANION_SHOEBOX_COLOR": "red"}, "no setting shoebox_color"),
        ({**SET, "TESLAFI_COMPANION_SHOEBOX_SHELF": "top"}, "shoebox_shelf isn't valid"),
        ({"TESLAFI_COMPANION_SHOEBOX_SHELF": "7"}, "billing is none"),
        ({**SET, "TESLAFI_COMPANION_CHARGEBEE_SITE": "acme"}, "billing is shoebox"),
        ({"TESLAFI_COMPANION_BILLING": "purse"}, "one of none, chargebee, shoebox"),
    ],
)
def test_its_settings_are_its_own(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(UnsafeSetting, match=sentence):
        load_settings(environ)


def test_without_its_folder_it_is_not_known() -> None:
    assert set(registry.billing_providers()) == {"chargebee"}
    with pytest.raises(UnsafeSetting, match="one of none, chargebee"):
        load_settings(SET)
