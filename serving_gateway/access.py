"""Who may ask for what: bearer tokens, each with a name, compared in constant time."""

import hmac
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from serving_gateway.http import ApiError, Request

NamedToken = tuple[str, str]
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # what a bearer token may be: RFC 6750, section 2.1
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")


def token_lines(path: str) -> tuple[NamedToken, ...]:
    """(name, token) of each line `token` or `name:token` of a file; empty lines and those after `#` are passed over.

    No path: none. Raises ValueError saying what is expected and never what a line holds.
    """
    if not path:
        return ()
    try:
        lines = Path(path).expanduser().read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"a file that can be read, one `token` or `name:token` a line ({error})") from None
    found = []
    for number, line in enumerate(lines, 1):
        name, _, token = line.strip().rpartition(":")
        if not token or line.lstrip().startswith("#"):
            continue
        if not _TOKEN.fullmatch(token) or (name and not _NAME.fullmatch(name)):
            raise ValueError(f"a file of one `token` or `name:token` a line (line {number} is neither)")
        found.append((name, token))
    if not found:
        raise ValueError("a file that holds at least one token")
    return tuple(found)


def token(text: str) -> str:
    """A token as it may be set directly; empty: none. Raises ValueError without the token in it."""
    if text and not _TOKEN.fullmatch(text):
        raise ValueError("letters, digits and any of -._~+/ only")
    return text


class Tokens:
    """A set of tokens. Looked up by a digest under a random key: neither time nor order says anything of a token."""

    def __init__(self, named: Iterable[NamedToken]) -> None:
        self._key = secrets.token_bytes(32)
        self._names = {self._digest(token): name for name, token in named}

    def __bool__(self) -> bool:
        return bool(self._names)

    def name_of(self, presented: str | None) -> str | None:
        """The name of the token, empty where it has none; None where it is not one of these."""
        return None if presented is None else self._names.get(self._digest(presented))

    def _digest(self, token: str) -> bytes:
        return hmac.digest(self._key, token.encode(errors="surrogatepass"), "sha256")


def administrator(tokens: Tokens, request: Request) -> str:
    """The actor of a change: `admin`, or `admin:<name>` where the token has one. Raises ApiError 403 or 401."""
    if not tokens:
        raise ApiError(
            403, "changes over HTTP are off: set ADMIN_TOKEN or ADMIN_TOKEN_FILE for the gateway and start it again"
        )
    name = tokens.name_of(_bearer(request))
    if name is None:
        raise _unauthorized("send the admin token: `Authorization: Bearer <token>` (ADMIN_TOKEN, ADMIN_TOKEN_FILE)")
    return f"admin:{name}" if name else "admin"


def require_key(keys: Tokens, request: Request) -> None:
    """Let pass who sends an API key; everybody where there are no keys. Raises ApiError 401."""
    if keys and keys.name_of(request.headers.get("x-api-key") or _bearer(request)) is None:
        raise _unauthorized("send an API key: `Authorization: Bearer <key>` or `X-Api-Key: <key>` (API_KEYS_FILE)")


def _bearer(request: Request) -> str | None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else None


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, message, headers=(("www-authenticate", 'Bearer realm="drift"'),))
