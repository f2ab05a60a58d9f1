"""The pages that a customer sees: checkout with *Pay* and *Cancel*, and the self-serve portal."""

from collections.abc import Callable
from html import escape
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from .site import PORTAL_LINK_LIFE, HostedPage, PortalSession, Refused, Site, Status, Subscription

COOKIE: Final = "cb_portal"
STYLE: Final = """
body{margin:0;font:16px/1.5 system-ui,sans-serif;color:#1c1c28;background:#f2f3f7}
.banner{padding:.6rem 1rem;background:#b45309;color:#fff;font-weight:600;text-align:center}
main{max-width:28rem;margin:3rem auto;padding:2rem;background:#fff;border-radius:.5rem}
h1{margin:0 0 1rem;font-size:1.4rem}
button{width:100%;margin-top:1rem;padding:.7rem;font:inherit;font-weight:600;color:#fff;background:#0b6b50;border:0;
  border-radius:.25rem;cursor:pointer}
button.second{color:#1c1c28;background:#e2e3e5}
"""


def _page(title: str, body: str, status: int = 200) -> web.Response:
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f'<div class="banner">Simulated Chargebee \N{EN DASH} not chargebee.com, no money moves</div>'
        f"<main><h1>{escape(title)}</h1>{body}</main></html>"
    )
    return web.Response(text=text, status=status, content_type="text/html", headers={"Cache-Control": "no-store"})


def _button(action: str, text: str, kind: str = "") -> str:
    return f'<form method="post" action="{escape(action)}"><button class="{kind}">{escape(text)}</button></form>'


def _redirect(address: str) -> web.Response:
    return web.Response(status=303, headers={"Location": address})


def page_routes(site: Site) -> list[web.RouteDef]:
    """Return the pages' routes."""
    checkout, portal = CheckoutPages(site), PortalPages(site)
    return [
        web.get("/pages/v4/{page}/", checkout.show),
        web.post("/pages/v4/{page}/pay", checkout.pay),
        web.post("/pages/v4/{page}/cancel", checkout.cancel),
        web.get("/portal/v2/authenticate", portal.enter),
        web.get("/portal/v2/home", portal.home),
        web.post("/portal/v2/logout", portal.leave),
        web.post("/portal/v2/subscriptions/{subscription}/{action}", portal.act),
    ]


class CheckoutPages:
    """The hosted checkout."""

    def __init__(self, site: Site) -> None:
        """Serve a site."""
        self._site = site

    def _usable(self, request: web.Request) -> HostedPage | None:
        page = self._site.hosted_pages.get(request.match_info["page"])
        return None if page is None or self._site.is_over(page) else page

    async def show(self, request: web.Request) -> web.Response:
        """Show what is to be paid."""
        page = self._usable(request)
        if page is None:
            return _page("This page has expired", "<p>Go back to where you came from and begin again.</p>", 410)
        price = f"${page.price.cents / 100:.2f} each month"
        if page.price.trial:
            price = f"Nothing for {page.price.trial // 86_400} days, then {price}"
        base = f"/pages/v4/{page.id}"
        body = (
            f"<p><strong>{escape(page.price.name)}</strong><br>{price}</p>"
            "<p>Card: 4111 1111 1111 1111, as on every test site.</p>"
            + _button(f"{base}/pay", "Subscribe")
            + _button(f"{base}/cancel", "Cancel", "second")
        )
        return _page("Checkout", body)

    async def pay(self, request: web.Request) -> web.Response:
        """Take the money that nobody has."""
        page = self._usable(request)
        if page is None:
            return _page("This page has expired", "<p>Go back to where you came from and begin again.</p>", 410)
        self._site.pay(page)
        return self._back(page, page.redirect_url, "succeeded")

    async def cancel(self, request: web.Request) -> web.Response:
        """Go back without paying."""
        page = self._usable(request)
        if page is None:
            return _page("This page has expired", "<p>Go back to where you came from and begin again.</p>", 410)
        page.state = "cancelled"
        return self._back(page, page.cancel_url or page.redirect_url, "cancelled")

    @staticmethod
    def _back(page: HostedPage, address: str, state: str) -> web.Response:
        if not address:
            return _page("Thank you", "<p>You can close this page.</p>")
        join = "&" if "?" in address else "?"
        return _redirect(f"{address}{join}{urlencode({'id': page.id, 'state': state})}")


class PortalPages:
    """The self-serve portal."""

    def __init__(self, site: Site) -> None:
        """Serve a site."""
        self._site = site
        self._actions: dict[str, Callable[[str], None]] = {
            "cancel": lambda number: site.cancel(number, at_term_end=True, source="portal"),
            "cancel-now": lambda number: site.cancel(number, source="portal"),
            "keep": site.keep,
            "reactivate": site.reactivate,
            "pay": lambda number: site.pay_dues(number, source="portal"),
        }

    def _session(self, request: web.Request) -> PortalSession | None:
        session = self._site.portal_sessions.get(request.cookies.get(COOKIE, ""))
        return session if session is not None and session.status == "logged_in" else None

    async def enter(self, request: web.Request) -> web.Response:
        """Let in once, within the hour."""
        token = request.query.get("token", "")
        session = next((one for one in self._site.portal_sessions.values() if one.token == token), None)
        late = session is not None and self._site.now >= session.created_at + PORTAL_LINK_LIFE
        if session is None or session.status != "created" or late:
            return _page("This link has been used or has expired", "<p>Ask for a new one.</p>", 410)
        session.status = "logged_in"
        response = _redirect("/portal/v2/home")
        response.set_cookie(COOKIE, session.id, httponly=True, samesite="Lax")
        return response

    async def home(self, request: web.Request) -> web.Response:
        """Show the customer's subscriptions."""
        session = self._session(request)
        if session is None:
            return _page("You are signed out", "<p>Ask for a new link.</p>", 403)
        self._site.live()
        body = "".join(map(self._shown, self._site.of_customer(session.customer_id))) or "<p>No subscription.</p>"
        return _page("Your subscriptions", body + _button("/portal/v2/logout", "Back", "second"))

    @staticmethod
    def _shown(subscription: Subscription) -> str:
        offered = {
            Status.ACTIVE: [("cancel", "Cancel at the end of the term"), ("cancel-now", "Cancel at once")],
            Status.IN_TRIAL: [("cancel", "Cancel at the end of the trial"), ("cancel-now", "Cancel at once")],
            Status.NON_RENEWING: [("keep", "Keep the subscription"), ("cancel-now", "Cancel at once")],
            Status.CANCELLED: [("reactivate", "Reactivate")],
        }.get(subscription.status, [])
        if subscription.due_since is not None:
            offered = [*offered, ("pay", "Pay what is due")]
        base = f"/portal/v2/subscriptions/{subscription.id}"
        buttons = "".join(_button(f"{base}/{action}", text) for action, text in offered)
        return f"<p><strong>{escape(subscription.price.name)}</strong>: {subscription.status.value}</p>{buttons}"

    async def act(self, request: web.Request) -> web.Response:
        """Do what the customer pressed."""
        session = self._session(request)
        number, action = request.match_info["subscription"], self._actions.get(request.match_info["action"])
        owned = session is not None and any(one.id == number for one in self._site.of_customer(session.customer_id))
        if not owned or action is None:
            return _page("Nothing here", "<p>Ask for a new link.</p>", 404)
        try:
            action(number)
        except Refused as refused:
            return _page("That does not work", f"<p>{escape(str(refused))}</p>", 400)
        return _redirect("/portal/v2/home")

    async def leave(self, request: web.Request) -> web.Response:
        """Sign out and go back."""
        session = self._session(request)
        if session is None:
            return _page("You are signed out", "<p>You can close this page.</p>")
        session.status = "logged_out"
        return _redirect(session.redirect_url or "/portal/v2/home")
