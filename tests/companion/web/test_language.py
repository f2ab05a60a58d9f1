"""A page is in the language that the account has chosen, else in the browser's; letters in the account's."""

import pytest

from .person import OLGA, PASSWORD, Companion, Person

pytestmark = pytest.mark.usefixtures("socket_enabled")

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}


async def heading(person: Person, path: str, **headers: str) -> str:
    """Return the heading of a page for a browser with these headers."""
    return (await person.send("GET", path, None, **headers)).heading


async def test_a_visitor_reads_the_browser_s_language(olga: Person) -> None:
    assert await heading(olga, "/sign-in") == "Sign in"
    assert await heading(olga, "/sign-in", **{"Accept-Language": "tlh"}) == "Sign in"
    answer = await olga.send("GET", "/sign-in", None, **GERMAN)
    assert answer.heading == "Anmelden"
    assert '<html lang="de">' in answer.text
    assert answer.headers["Content-Language"] == "de"
    assert answer.headers["Vary"] == "Accept-Language"
    assert await heading(olga, "/nothing", **GERMAN) == "Seite nicht gefunden"


async def test_what_went_wrong_is_told_in_the_same_language(olga: Person) -> None:
    form = {"email": "nobody", "password": "x", "next": "/account"}
    answer = await olga.send("POST", "/sign-in", form, **GERMAN)
    assert "Geben Sie Ihre E-Mail-Adresse in der Form name@example.org ein." in answer.text


async def test_the_account_s_choice_counts_before_the_browser(olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    await olga.fills("/account/language", language="de")
    assert olga.page.heading == "Ihr Konto"
    assert "Die Sprache wurde geändert." in olga.page.text
    assert await heading(olga, "/links") == "Verknüpfte Home Assistants"
    await olga.opens("/account")
    await olga.fills("/account/language", language="")
    assert olga.page.heading == "Your account"
    assert await heading(olga, "/account", **GERMAN) == "Ihr Konto"
    for nonsense in ("xx", "../../etc", "DE", "d\u0435"):
        await olga.fills("/account/language", language=nonsense)
        assert olga.page.heading == "Your account"


async def test_letters_are_in_the_account_s_language(companion: Companion, olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    await olga.fills("/account/language", language="de")
    await companion.person().signs_in()
    letter = (await olga.mails())[-1]
    assert letter.subject == "Neue Anmeldung"
    assert "Jemand hat sich an Ihrem Konto angemeldet." in letter.text
    assert "Gerät: neu, wurde mit diesem Konto noch nicht benutzt" in letter.text
    assert "23. November 2026" in letter.text


async def test_who_signs_up_in_german_is_written_to_in_german(olga: Person) -> None:
    await olga.send("POST", "/sign-up", {"email": OLGA}, **GERMAN)
    letter = (await olga.mails())[-1]
    assert letter.subject == "Bestätigen Sie Ihre Adresse"
    await olga.opens(await olga.link_in("Bestätigen Sie Ihre Adresse"))
    await olga.fills("/sign-up/confirm", password=PASSWORD)
    await olga.signs_in()
    assert olga.page.heading == "Ihr Konto"


async def test_a_stranger_s_words_stay_text_in_every_language(olga: Person) -> None:
    """A translated sentence is trusted HTML; what is put into it is not."""
    await olga.has_account()
    for headers in ({}, GERMAN):
        answer = await olga.send("POST", "/forgotten-password", {"email": "a&b@example.org"}, **headers)
        assert "<strong>a&amp;b@example.org</strong>" in answer.text
