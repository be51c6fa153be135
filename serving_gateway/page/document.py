"""The page itself: index.html with its style and scripts inlined, and a policy that lets nothing else run."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from serving_gateway.http import Request, Respond, Response

_FOLDER = Path(__file__).parent
_STYLE = re.compile(r'<link rel="stylesheet" href="([\w.]+)">')
_SCRIPT = re.compile(r'<script src="([\w.]+)"></script>')


def page(_request: Request, respond: Respond) -> None:
    """The handler of /."""
    respond(_page())


@cache
def _page() -> Response:
    html, styles = _inlined((_FOLDER / "index.html").read_text(), _STYLE, "style")
    html, scripts = _inlined(html, _SCRIPT, "script")
    # Trusted types: even a mistake in our own scripts cannot turn a text into markup.
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    headers = (
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-cache"),
    )
    return Response(200, html.encode(), "text/html; charset=utf-8", headers)


def _inlined(html: str, reference: re.Pattern[str], tag: str) -> tuple[str, str]:
    """`html` with each file that is referred to in its place, and their hashes as the policy wants them."""
    hashes: list[str] = []

    def content(match: re.Match[str]) -> str:
        text = (_FOLDER / match[1]).read_text()
        hashes.append(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'")
        return f"<{tag}>{text}</{tag}>"

    return reference.sub(content, html), " ".join(hashes)
