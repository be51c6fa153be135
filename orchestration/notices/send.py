"""Sending a notice: kept first, then posted; what goes wrong with Slack is kept too and never reaches the caller."""

import logging
from datetime import UTC, datetime

from orchestration.notices.journal import append
from orchestration.notices.notice import Notice
from orchestration.notices.slack import SlackError, post
from orchestration.settings import Settings

_log = logging.getLogger(__name__)


def send(notice: Notice, settings: Settings) -> None:
    """Keep `notice`, and post it where SLACK_WEBHOOK_URL is set. Raises OSError when it cannot be kept."""
    append(settings.notices, notice)
    if not settings.slack_webhook_url:
        return
    try:
        post(settings.slack_webhook_url, notice)
    except SlackError as error:
        _log.warning("the notice %r is kept but was not posted: %s", notice.title, error)
        append(settings.notices, _undelivered(notice, str(error)))


def _undelivered(notice: Notice, reason: str) -> Notice:
    return Notice(
        severity="SEV3",
        title="A notice did not reach Slack",
        text=f"{notice.severity} {notice.title}: {reason}",
        link=notice.link,
        time=datetime.now(UTC),
    )
