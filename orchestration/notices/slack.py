"""Slack's incoming webhook: a notice as the message that its API takes."""

import logging
from typing import Any

import httpx

from orchestration.notices.notice import Notice
from orchestration.retries import may_be_asked_again

TIMEOUT_S = 5.0
# Slack refuses a section above 3,000 characters.
_TEXT_LIMIT = 2800
# httpx logs every address at INFO, and this one is a secret.
logging.getLogger("httpx").setLevel(logging.WARNING)


class SlackError(Exception):
    """Slack did not take the message. The reason never holds the webhook's address, which is a secret.

    `again`: it may take the same message later, after `again_in_s` seconds where it said so.
    """

    def __init__(self, reason: str, *, again: bool = False, again_in_s: float = 0.0) -> None:
        super().__init__(reason)
        self.again = again
        self.again_in_s = again_in_s


def payload(notice: Notice) -> dict[str, Any]:
    """The message: `text` for notifications and old clients, one section and one context line for the channel."""
    title = f"*{notice.severity}* {_escaped(notice.title)}"
    text = notice.text if len(notice.text) <= _TEXT_LIMIT else f"{notice.text[:_TEXT_LIMIT]} ..."
    context = f"{notice.time:%Y-%m-%d %H:%M:%S %Z}  <{notice.link}|look>"
    return {
        "text": f"{notice.severity} {_escaped(notice.title)}",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": f"{title}\n{_escaped(text)}"[:3000]}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": context}]},
        ],
    }


def post(webhook: str, notice: Notice) -> None:
    """Post `notice` and wait for Slack's `ok`. Raises SlackError saying why it was not taken.

    Slack asks who posts too fast to wait (429, `Retry-After`); a revoked webhook or an archived channel is for good (4xx).
    """
    if not webhook.startswith(("http://", "https://")):
        raise SlackError("SLACK_WEBHOOK_URL must be an http or https address")
    try:
        answer = httpx.post(webhook, json=payload(notice), timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        again = isinstance(error, httpx.HTTPError)
        raise SlackError(f"Slack was not reached: {type(error).__name__}", again=again) from error
    if answer.status_code != httpx.codes.OK:
        again, again_in_s = may_be_asked_again(answer)
        reason = f"Slack answered {answer.status_code}: {answer.text[:200]}"
        raise SlackError(reason, again=again, again_in_s=again_in_s)


def _escaped(text: str) -> str:
    """Slack's own three escapes (api.slack.com/reference/surfaces/formatting, "Escaping text")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
