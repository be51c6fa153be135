"""Jira's REST API, version 3: find, open and comment an issue.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/: `POST /search/jql`, `POST /issue`, `POST` and
`GET /issue/{key}/comment`; an account signs in with its address and an API token (basic authentication).
"""

import logging
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from orchestration.incidents.policy import JIRA_TIMEOUT_S
from orchestration.retries import may_be_asked_again
from orchestration.settings import Settings

# httpx logs every request at INFO.
logging.getLogger("httpx").setLevel(logging.WARNING)
_API = "/rest/api/3"


class JiraError(Exception):
    """Jira did not do it. `again`: it may later, after `again_in_s` seconds where it said so. The token is never told."""

    def __init__(self, reason: str, *, again: bool = False, again_in_s: float = 0.0) -> None:
        super().__init__(reason)
        self.again = again
        self.again_in_s = again_in_s


@dataclass(frozen=True)
class Account:
    """Where issues are opened, and by whom."""

    url: str
    project: str
    user: str
    token: str


def account(settings: Settings) -> Account | None:
    """None where JIRA_URL is not set. Raises ValueError naming the variable or the file that is wrong."""
    if not settings.jira_url:
        return None
    if not settings.jira_url.startswith(("http://", "https://")):
        raise ValueError(f"JIRA_URL must be an http or https address, got {settings.jira_url!r}")
    needed = {"JIRA_PROJECT": settings.jira_project, "JIRA_USER": settings.jira_user}
    needed["JIRA_TOKEN_FILE"] = str(settings.jira_token_file or "")
    if lacking := [name for name, value in needed.items() if not value]:
        raise ValueError(f"JIRA_URL is set, so these must be too: {', '.join(lacking)}")
    assert settings.jira_token_file is not None
    try:
        token = settings.jira_token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"JIRA_TOKEN_FILE {settings.jira_token_file} cannot be read: {error}") from error
    if not token:
        raise ValueError(f"JIRA_TOKEN_FILE {settings.jira_token_file} is empty")
    return Account(settings.jira_url.rstrip("/"), settings.jira_project, settings.jira_user, token)


class Jira:
    """One account at one Jira. Every method raises JiraError."""

    def __init__(self, where: Account) -> None:
        self._project = where.project
        self._client = httpx.Client(
            base_url=where.url,
            auth=httpx.BasicAuth(where.user, where.token),
            timeout=JIRA_TIMEOUT_S,
            headers={"Accept": "application/json"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def find(self, label: str) -> str:
        """Key of the issue with this label; empty where there is none yet."""
        jql = f"project = {_quoted(self._project)} AND labels = {_quoted(label)} ORDER BY created ASC"
        found = self._ask("POST", "/search/jql", {"jql": jql, "fields": ["summary"], "maxResults": 1})
        issues = _part(found, "issues", list)
        return str(_part(issues[0], "key", str)) if issues else ""

    def open(self, summary: str, description: dict[str, Any], labels: list[str]) -> str:
        """Open an issue; returns its key."""
        fields = {
            "project": {"key": self._project},
            "issuetype": {"name": "Task"},
            "summary": summary,
            "description": description,
            "labels": labels,
        }
        return str(_part(self._ask("POST", "/issue", {"fields": fields}), "key", str))

    def comment(self, issue: str, body: dict[str, Any]) -> None:
        """Add a comment, unless one of the same words stands there."""
        there = self._ask("GET", f"/issue/{issue}/comment?orderBy=-created&maxResults=100")
        if not any(_words(comment) == _words(body) for comment in _part(there, "comments", list)):
            self._ask("POST", f"/issue/{issue}/comment", {"body": body})

    def _ask(self, method: str, path: str, document: object = None) -> Any:
        try:
            answer = self._client.request(method, f"{_API}{path}", json=document)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            again = isinstance(error, httpx.HTTPError)
            raise JiraError(f"Jira was not reached: {type(error).__name__}", again=again) from error
        if not answer.is_success:
            again, again_in_s = may_be_asked_again(answer)
            reason = f"Jira answered {answer.status_code} to {method} {path}: {' '.join(answer.text.split())[:300]}"
            raise JiraError(reason, again=again, again_in_s=again_in_s)
        try:
            return answer.json()
        except ValueError as error:
            raise JiraError(f"JIRA_URL does not answer as Jira does: {answer.text[:100]!r}") from error


def _part(document: Any, name: str, kind: type) -> Any:
    found = document.get(name) if isinstance(document, dict) else None
    if not isinstance(found, kind):
        raise JiraError(f"JIRA_URL does not answer as Jira does: no {name} in {str(document)[:100]!r}")
    return found


def _words(document: Any) -> list[str]:
    """Every text of a document of Jira's, in order: Jira adds attributes of its own to what it is given."""
    if isinstance(document, dict):
        own = [document["text"]] if isinstance(document.get("text"), str) else []
        return own + _words(document.get("body", document.get("content")))
    return [word for part in document for word in _words(part)] if isinstance(document, list) else []


def _quoted(text: str) -> str:
    """A string of JQL (support.atlassian.com, "JQL operators": a backslash escapes quotes and itself)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
