"""The page stands alone: nothing is fetched from elsewhere, nothing runs that was not shipped, every name is there."""

import base64
import hashlib
import re

import pytest

from serving_gateway.http import Request, Response
from serving_gateway.page.document import page


@pytest.fixture(scope="module")
def response() -> Response:
    answers: list[Response] = []
    page(Request("GET", "/", {}, b""), answers.append)
    return answers[0]


@pytest.fixture(scope="module")
def html(response: Response) -> str:
    return response.body.decode()


def test_the_policy_allows_exactly_what_is_inlined(response: Response, html: str) -> None:
    policy = dict(part.strip().split(" ", 1) for part in dict(response.headers)["content-security-policy"].split(";"))
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        inlined = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in inlined]
        assert inlined
        assert policy[directive] == " ".join(hashes)
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in str(policy)


def test_nothing_comes_from_elsewhere(html: str) -> None:
    assert re.findall(r"""(?:src|href)=["'](?!data:|#)[^"']*["']""", html) == []
    assert [url for url in re.findall(r"https?://[^\s'\"`]+", html) if "www.w3.org" not in url] == []
    assert "@import" not in html


def test_no_text_can_become_markup(html: str) -> None:
    assert re.findall(r"innerHTML|outerHTML\s*=|insertAdjacent|document\.write|\beval\(|new Function", html) == []
    assert re.findall(r"""<[^>]+\s(?:on\w+|style)=""", html.split("<script>", maxsplit=1)[0]) == []


def test_every_element_that_is_drawn_into_is_there_once_and_every_field_has_a_label(html: str) -> None:
    ids = re.findall(r'\sid="([\w-]+)"', html)
    assert len(ids) == len(set(ids))
    named = re.findall(r'(?:byId|draw)\("([\w-]+)"', html)
    assert set(named) <= set(ids)
    referred = re.findall(r'(?:for|aria-labelledby|aria-describedby)="([\w-]+)"', html)
    assert set(referred) <= set(ids)
    fields = re.findall(r'<input id="([\w-]+)"', html)
    assert fields
    assert set(fields) <= set(re.findall(r'<label for="([\w-]+)"', html))
