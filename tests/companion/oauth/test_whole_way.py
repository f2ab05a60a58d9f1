"""A person links a Home Assistant with nothing but a browser: signing in, proving to be the owner, allowing it."""

import re
from urllib.parse import urlencode

import pytest
from yarl import URL

from teslafi_companion.domain.accounts import account
from teslafi_companion.domain.accounts.passwords import Passwords
from teslafi_companion.settings import MY_HOME_ASSISTANT
from teslafi_companion.store.database import Store

from .linking import CHALLENGE, CLIENT, INSTANCE, OWNER, Http, code_form, post

PASSWORD = "a long marker passphrase"
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
REQUEST = {
    "response_type": "code",
    "client_id": CLIENT.id,
    "redirect_uri": MY_HOME_ASSISTANT,
    "state": "eyJ.state.of+home/assistant=",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "instance_name": "Zoë & Söhne “at home”",
    "instance_id": INSTANCE.id,
}


class Person:
    """Follows redirects, keeps cookies, sends forms with what is hidden in them."""

    def __init__(self, http: Http) -> None:
        """Begin without any cookie."""
        self._http = http
        self.at = URL("/")
        self.text = ""

    async def open(self, where: URL) -> None:
        """Open an address and follow redirects, as long as they stay here."""
        self.at = where
        while not where.absolute:
            async with self._http.get(where, allow_redirects=False) as response:
                self.at, self.text = where, await response.text()
                if response.status != 303:
                    assert response.status == 200, self.text
                    return
                where = URL(response.headers["Location"], encoded=True)
        self.at = where

    async def submit(self, **fields: str) -> None:
        """Send the page's main form and go where it leads."""
        form = self.text[self.text.index("<main") :]
        action = re.search(r'<form method="post" action="([^"]+)"', form)
        assert action is not None
        hidden = {name: _unescaped(value) for name, value in HIDDEN.findall(form)}
        headers = {"Sec-Fetch-Site": "same-origin"}
        where = URL(_unescaped(action[1]), encoded=True)
        async with self._http.post(where, data=hidden | fields, headers=headers, allow_redirects=False) as response:
            assert response.status == 303, await response.text()
            there = URL(response.headers["Location"], encoded=True)
        await self.open(there)


def _unescaped(text: str) -> str:
    return text.replace("&#34;", '"').replace("&#39;", "'").replace("&amp;", "&")


@pytest.fixture
async def owner(store: Store) -> None:
    """Make an account that can sign in."""
    passwords = Passwords(store.settings.policy)
    phc = await passwords.hash(PASSWORD)
    passwords.close()
    async with store.transaction() as transaction:
        await account.create(transaction, OWNER, phc)


@pytest.mark.usefixtures("owner")
async def test_linking(store: Store, http: Http) -> None:
    person = Person(http)
    await person.open(URL(f"/oauth/authorize?{urlencode(REQUEST)}", encoded=True))
    assert person.at.path == "/sign-in"
    await person.submit(email=OWNER, password=PASSWORD)
    assert person.at.path == "/step-up"
    assert "link a Home Assistant" in person.text
    await person.submit(password=PASSWORD)
    assert person.at.path == "/oauth/authorize"
    assert "Zoë &amp; Söhne “at home”" in person.text
    await person.submit(answer="allow")
    assert str(person.at.with_query(None)) == MY_HOME_ASSISTANT
    assert person.at.query["state"] == REQUEST["state"]
    status, _ = await post(http, "/oauth/token", code_form(person.at.query["code"]))
    assert status == 200
    await person.open(URL("/links"))
    assert "Zoë &amp; Söhne “at home”" in person.text
    await person.submit()
    assert "No Home Assistant is linked" in person.text


@pytest.mark.usefixtures("owner")
async def test_typing_a_code(store: Store, http: Http) -> None:
    form = {"client_id": CLIENT.id, "instance_name": INSTANCE.name, "instance_id": INSTANCE.id}
    _, codes = await post(http, "/oauth/device_authorization", form)
    person = Person(http)
    await person.open(URL(URL(codes["verification_uri"]).path))
    await person.submit(email=OWNER, password=PASSWORD)
    assert person.at.path == "/device"
    await person.submit(user_code=codes["user_code"])
    assert person.at.path == "/step-up"
    await person.submit(password=PASSWORD)
    assert person.at.path.startswith("/device/")
    assert INSTANCE.name in person.text
