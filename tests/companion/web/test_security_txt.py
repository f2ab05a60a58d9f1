"""security.txt says where weaknesses are reported, as RFC 9116 wants it, and no longer than it says itself."""

from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st
import pytest
import structlog

from teslafi_companion.http.security_txt import PATH, written
from teslafi_companion.http.services import make_services
from teslafi_companion.server import started
from teslafi_companion.settings import Settings, UnsafeSetting
from teslafi_companion.store.database import Store
from teslafi_companion.work.housekeeping import Housekeeping
from tests.companion.clock import ManualClock

from .person import Companion, Person


def reporting(settings: Settings, expires: datetime) -> Settings:
    """Return settings with a contact until a moment."""
    return replace(
        settings,
        security_contact=("mailto:security@example.org", "https://example.org/report"),
        security_expires=expires.isoformat(),
        security_policy="https://example.org/policy",
        security_languages=("en", "de"),
    )


@pytest.fixture
def settings(settings: Settings, clock: ManualClock) -> Settings:
    """Take reports for half a year."""
    return reporting(settings, clock() + timedelta(days=180))


async def test_it_is_what_the_rfc_asks_for(olga: Person, settings: Settings) -> None:
    answer = await olga.send("GET", PATH)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    fields = [line.split(": ", 1) for line in answer.text.splitlines()]
    names = [name for name, _ in fields]
    said = dict(fields)
    # 2.5.3: at least one contact; 2.5.5: exactly one date, in RFC 3339; 2.5.8: languages once
    assert names.count("Contact") == 2
    assert said["Contact"] == "https://example.org/report"
    assert names.count("Expires") == names.count("Preferred-Languages") == 1
    assert datetime.fromisoformat(said["Expires"]) == settings.security_expiry
    assert said["Canonical"] == f"{settings.origin}{PATH}"
    assert said["Policy"] == "https://example.org/policy"
    assert said["Preferred-Languages"] == "en, de"
    assert answer.text.endswith("\n")


async def test_the_footer_leads_there(olga: Person) -> None:
    for path in ("/", "/sign-in", "/nothing"):
        answer = await olga.send("GET", path)
        assert f'<a href="{PATH}">Report a security problem</a>' in answer.text, path
    german = await olga.send("GET", "/sign-in", None, **{"Accept-Language": "de"})
    assert "Ein Sicherheitsproblem melden" in german.text


class TestWithoutContact:
    """A companion at home has nobody to report to."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Take no reports."""
        return replace(settings, security_contact=(), security_expires="", security_policy="")

    async def test_there_is_no_file(self, companion: Companion) -> None:
        """And no page leads to one."""
        answer = await companion.person().send("GET", PATH)
        assert answer.status == 404
        assert PATH not in answer.text


@pytest.mark.parametrize(
    ("left", "refused"), [(timedelta(seconds=1), False), (timedelta(), True), (-timedelta(days=1), True)]
)
async def test_an_expired_contact_is_refused_at_the_start(
    settings: Settings, clock: ManualClock, left: timedelta, *, refused: bool
) -> None:
    expiring = reporting(settings, clock() + left)
    if not refused:
        expiring.refuse_expired(clock())
        return
    async with AsyncExitStack() as stack:
        with pytest.raises(UnsafeSetting, match=r"has passed\. Check that security_contact still reaches"):
            await started(stack, expiring, clock)


async def test_the_log_tells_a_month_ahead(store: Store, clock: ManualClock) -> None:
    told = []
    for days in (180, 31, 29, 1):
        store.settings = reporting(store.settings, clock() + timedelta(days=days))
        with structlog.testing.capture_logs() as lines:
            await Housekeeping(store).turn()
        told += [line["days"] for line in lines if line["event"] == "security_contact_expires"]
    assert told == [29, 1]


async def test_the_metrics_say_when(store: Store, clock: ManualClock) -> None:
    metrics = make_services(store).metrics
    assert metrics.registry.get_sample_value("companion_security_expires_seconds") == float("inf")
    metrics.expires(clock())
    assert metrics.registry.get_sample_value("companion_security_expires_seconds") == clock().timestamp()


LINES = st.text(max_size=30) | st.sampled_from(
    ["https://a\r\nContact: mailto:x@y", "mailto:a@b\x00", "mailto:\u202ea@b", "tel:+1\n2", "https://\u0430.example/"]
)


@given(contact=LINES, policy=LINES, language=LINES)
def test_no_setting_writes_another_line(contact: str, policy: str, language: str) -> None:
    try:
        settings = Settings(
            security_contact=(contact,),
            security_expires=datetime(2027, 6, 1, tzinfo=UTC).isoformat(),
            security_policy=policy,
            security_languages=(language,),
        )
    except UnsafeSetting:
        return
    text = written(settings)
    assert text is not None
    assert text.isascii()
    assert len(text.splitlines()) == 4 + bool(policy)
