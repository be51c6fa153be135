"""Sending a notice: kept, and posted even where it is not; what goes wrong with Slack is kept and never raised."""

import logging
from datetime import UTC, datetime

from orchestration.notices.journal import append, read
from orchestration.notices.notice import Notice
from orchestration.notices.slack import SlackError, post
from orchestration.settings import Settings

_log = logging.getLogger(__name__)


def send(notice: Notice, settings: Settings) -> None:
    """Keep `notice`, and post it where SLACK_WEBHOOK_URL is set. Raises OSError, once posted, when it cannot be kept."""
    try:
        append(settings.notices, notice)
    finally:
        if settings.slack_webhook_url:
            _post(notice, settings)


def send_once(notice: Notice, settings: Settings) -> bool:
    """`send`, unless a notice of this title and link is kept already; returns whether it was sent. Raises OSError."""
    if any((kept.title, kept.link) == (notice.title, notice.link) for kept in read(settings.notices).notices):
        return False
    send(notice, settings)
    return True


def _post(notice: Notice, settings: Settings) -> None:
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
