"""The pages that an owner sees. Plain HTML without script; names of inputs are stable, browser tests rely on them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

BANNER: Final = "Simulated Tesla sign-in \N{EN DASH} not tesla.com"

STYLE: Final = """
*{box-sizing:border-box}
body{margin:0;font:16px/1.5 system-ui,sans-serif;color:#171a20;background:#f4f4f4}
.banner{padding:.6rem 1rem;background:#b45309;color:#fff;font-weight:600;text-align:center}
main{max-width:25rem;margin:3rem auto;padding:2rem;background:#fff;border-radius:.5rem}
h1{margin:0 0 1rem;font-size:1.5rem}
label{display:block;margin:1rem 0 .25rem}
label.scope{display:flex;gap:.6rem;margin:.6rem 0}
input[type=text],input[type=email],input[type=password]{width:100%;padding:.6rem;font:inherit;
  border:1px solid #8e8e8e;border-radius:.25rem}
button{width:100%;margin-top:1rem;padding:.7rem;font:inherit;font-weight:600;color:#fff;background:#3457b1;
  border:0;border-radius:.25rem;cursor:pointer}
button.second{color:#171a20;background:#e2e3e5}
.problem{padding:.6rem .8rem;color:#7f1d1d;background:#fee2e2;border-radius:.25rem}
.hint{color:#5c5e62;font-size:.9rem}
"""

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

CANCEL: Final = '<button class="second" name="cancel" value="cancel" formnovalidate>Cancel</button>'


@dataclass(frozen=True, slots=True)
class Form:
    """What the forms of one transaction carry along, and the query under which its pages are found again."""

    transaction_id: str
    csrf: str
    query: Mapping[str, str]

    def wrap(self, inputs: str, *, attributes: str = "") -> str:
        """Return a form that posts to the page it stands on."""
        hidden = {
            "_csrf": self.csrf,
            "_phase": "authenticate",
            "_process": "1",
            "transaction_id": self.transaction_id,
            "cancel": "",
        }
        carried = "".join(
            f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in hidden.items()
        )
        return f'<form id="form" method="post"{attributes}>{carried}{inputs}</form>'

    def link(self, factor: str) -> str:
        """Return the address of this transaction's page for another factor, as an attribute value."""
        return escape("?" + urlencode({**self.query, "transaction_id": self.transaction_id, "factor": factor}))


def page(title: str, content: str, *, status: int = HTTPStatus.OK) -> web.Response:
    """Return a whole page; `content` is HTML."""
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)} | {escape(BANNER)}</title><style>{STYLE}</style></head><body>"
        f'<div class="banner" role="note">{escape(BANNER)}</div><main><h1>{escape(title)}</h1>{content}</main>'
        "</body></html>"
    )
    return web.Response(text=html, content_type="text/html", status=status, headers=HEADERS)


def problem_page(title: str, text: str, status: int) -> web.Response:
    """Return a page that leads nowhere."""
    return page(title, _problem(text), status=status)


def identity_page(form: Form, *, hint: str, problem: str | None) -> web.Response:
    """Ask for the e-mail."""
    inputs = (
        f'{_problem(problem)}<label for="identity">Email</label>'
        f'<input id="identity" name="identity" type="email" value="{escape(hint)}" required autofocus'
        f' autocomplete="username"><button name="next" value="next">Next</button>{CANCEL}'
    )
    return page("Sign In", form.wrap(inputs))


def password_page(
    form: Form, *, email: str, captcha: str | None, problem: str | None, status: int = HTTPStatus.OK
) -> web.Response:
    """Ask for the password; with a captcha, for its text as well."""
    asked = ""
    if captcha is not None:
        asked = (
            f'<label for="captcha">Type the characters <strong>{escape(captcha)}</strong></label>'
            '<input id="captcha" name="captcha" type="text" required autocomplete="off">'
        )
    inputs = (
        f'{_problem(problem)}<p>{escape(email)}</p><label for="credential">Password</label>'
        '<input id="credential" name="credential" type="password" required autofocus'
        f' autocomplete="current-password">{asked}<button name="next" value="next">Sign In</button>{CANCEL}'
    )
    return page("Password", form.wrap(inputs), status=status)


def passcode_page(form: Form, *, problem: str | None, status: int = HTTPStatus.OK) -> web.Response:
    """Ask for the passcode. Old clients know the page by the address of the endpoint that it names."""
    inputs = (
        f'{_problem(problem)}<label for="passcode">Enter the passcode from your authenticator app</label>'
        '<input id="passcode" name="passcode" type="text" inputmode="numeric" maxlength="6" required autofocus'
        f' autocomplete="one-time-code"><button name="next" value="next">Submit</button>{CANCEL}'
        f'<p class="hint"><a href="{form.link("backup_code")}">Use a backup passcode</a></p>'
    )
    return page(
        "Multi-Factor Authentication",
        form.wrap(inputs, attributes=' data-verify="/oauth2/v3/authorize/mfa/verify"'),
        status=status,
    )


def backup_page(form: Form, *, problem: str | None, status: int = HTTPStatus.OK) -> web.Response:
    """Ask for a backup passcode."""
    inputs = (
        f'{_problem(problem)}<label for="backup_code">Enter one of your backup passcodes</label>'
        '<input id="backup_code" name="backup_code" type="text" required autofocus autocomplete="off">'
        f'<button name="next" value="next">Submit</button>{CANCEL}'
        f'<p class="hint"><a href="{form.link("passcode")}">Use a passcode from your authenticator app</a></p>'
    )
    return page("Backup Passcode", form.wrap(inputs), status=status)


def consent_page(
    form: Form,
    *,
    application: str,
    offered: Iterable[tuple[str, str]],
    granted: Iterable[str],
    locked: bool,
) -> web.Response:
    """Offer the scopes (name, what it allows), all ticked; `locked` ones cannot be unticked."""
    choices = "".join(_choice(name, text, locked=locked) for name, text in offered)
    already = "".join(f"<li>{escape(text)}</li>" for text in granted)
    before = f'<p class="hint">Granted before:</p><ul class="hint">{already}</ul>' if already else ""
    inputs = (
        f"<p><strong>{escape(application)}</strong> asks for access to your Tesla account:</p>{choices}{before}"
        f'<button name="decision" value="allow">Allow</button>{CANCEL}'
    )
    return page("Allow Access", form.wrap(inputs))


def revoke_page(
    form: Form,
    *,
    application: str,
    granted: Iterable[tuple[str, str]],
    back_url: str | None,
    note: str | None,
) -> web.Response:
    """Show what an application may do, to be reduced or withdrawn."""
    said = f'<p role="status">{escape(note)}</p>' if note else ""
    back = f'<p><a href="{escape(back_url)}">Back</a></p>' if back_url else ""
    choices = "".join(_choice(name, text, locked=False) for name, text in granted)
    inputs = (
        f"<p><strong>{escape(application)}</strong> has access to:</p>{choices}"
        '<button name="decision" value="save">Save</button>'
        '<button class="second" name="decision" value="revoke">Remove Access</button>'
    )
    return page("Manage Third-Party App", said + form.wrap(inputs) + back)


def no_consent_page(*, application: str, back_url: str | None, note: str | None) -> web.Response:
    """Say that an application may do nothing."""
    back = f'<p><a href="{escape(back_url)}">Back</a></p>' if back_url else ""
    text = note or f"{application} has no access to your Tesla account."
    return page("Manage Third-Party App", f'<p role="status">{escape(text)}</p>{back}')


def _choice(name: str, text: str, *, locked: bool) -> str:
    tick = f'<input type="checkbox" name="scope" value="{escape(name)}" checked{" disabled" if locked else ""}>'
    return f'<label class="scope">{tick}<span>{escape(text)}</span></label>'


def _problem(text: str | None) -> str:
    return f'<p class="problem" role="alert">{escape(text)}</p>' if text else ""
