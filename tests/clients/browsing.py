"""A person with a browser, as plain HTTP: opens an address, fills in what is shown, and follows to the end.

Run as a program by clients that open one: arguments are the address and, for the page of another device, its code.
The environment gives SIGN_IN_CA, SIGN_IN_NAME and SIGN_IN_PASSWORD. Prints the last address.
"""
# mypy: ignore-errors

from __future__ import annotations

import os
import sys
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx


class Form(HTMLParser):
    """The main form of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action, self.fields = "", {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        found = dict(attrs)
        if tag == "form":
            self.action, self.fields = found["action"], {}
        elif tag in ("input", "button") and found.get("name"):
            self.fields.setdefault(found["name"], found.get("value") or "")


def browse(address: str, user_code: str = "") -> str:
    """Sign in and go on to wherever that leads; the last address."""
    host = urlsplit(address).netloc
    with httpx.Client(verify=os.environ["SIGN_IN_CA"], trust_env=False, timeout=60) as browser:
        answer = browser.get(address)
        while True:
            if answer.has_redirect_location:
                address = urljoin(address, answer.headers["location"])
                if urlsplit(address).netloc != host:
                    return hand_over(address)
                answer = browser.get(address)
                continue
            form = Form(answer.text)
            asked = {
                "name": os.environ["SIGN_IN_NAME"],
                "password": os.environ["SIGN_IN_PASSWORD"],
                "user_code": form.fields.get("user_code") or user_code,
            }
            if answer.status_code != 200 or not form.action:
                return f"{address} {answer.status_code} {answer.text if answer.status_code != 200 else ''}"
            data = {name: asked.get(name) or value for name, value in form.fields.items()}
            target = urljoin(address, form.action)
            if urlsplit(target).netloc != host:
                httpx.post(target, data=data, trust_env=False)
                return target
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(address))
            address, answer = target, browser.post(target, data=data, headers={"origin": origin})


def hand_over(address: str) -> str:
    """Bring the code to the program that waits on this machine; where nobody waits it is printed."""
    if urlsplit(address).hostname in ("localhost", "127.0.0.1") and "HAND_OVER" in os.environ:
        httpx.get(address, trust_env=False)
    return address


if __name__ == "__main__":
    print(browse(*sys.argv[1:3]))
