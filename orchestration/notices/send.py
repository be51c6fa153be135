"""Sending a notice: kept, and posted to Slack where that is set up; an outage of Slack delays a notice and loses none."""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestration.notices.journal import append, read
from orchestration.notices.notice import Notice
from orchestration.notices.outbox import Waiting, end, put, turn, waiting
from orchestration.notices.slack import SlackError, post
from orchestration.settings import Settings

_log = logging.getLogger(__name__)
# Who sends does something else: what waited before its notice is for the process that follows up.
_SENDER_S = 0.5


@dataclass(frozen=True)
class Delivery:
    """How many notices wait for Slack, why, and for how many seconds Slack asked to be left alone."""

    waiting: int = 0
    problem: str = ""
    again_in_s: float = 0.0


def send(notice: Notice, settings: Settings) -> None:
    """Keep `notice`, and post it where a webhook is set: at once, or once Slack is back and the webhook can be read.

    Raises OSError, once posted, when it cannot be kept.
    """
    try:
        append(settings.notices, notice)
    finally:
        if settings.posts_to_slack:
            _post(notice, settings)


def send_once(notice: Notice, settings: Settings) -> bool:
    """`send`, unless a notice of this title and link is kept already; returns whether it was sent. Raises OSError."""
    if any((kept.title, kept.link) == (notice.title, notice.link) for kept in read(settings.notices).notices):
        return False
    send(notice, settings)
    return True


def deliver(settings: Settings, *, for_s: float) -> Delivery:
    """Post what waits, oldest first, and begin none after `for_s` seconds; nothing where another process is at it.

    The first that Slack cannot take now ends the round. One that it refuses would be refused for ever: it is taken out,
    and the notices keep a notice of that. Raises OSError.
    """
    path, began = settings.slack_outbox, time.monotonic()
    with turn(path) as ours:
        there = waiting(path)
        if not ours or not settings.posts_to_slack:
            return Delivery(len(there))
        try:
            webhook = settings.slack_webhook_url
        except OSError as error:
            return Delivery(len(there), f"SLACK_WEBHOOK_URL_FILE cannot be read: {error}")
        for place, one in enumerate(there):
            if place and time.monotonic() - began > for_s:
                return Delivery(len(there) - place)
            try:
                post(webhook, one.notice)
            except SlackError as error:
                if error.again:
                    return Delivery(len(there) - place, str(error), error.again_in_s)
                _refused(one, error, settings)
            end(path, one)
    return Delivery()


def _post(notice: Notice, settings: Settings) -> None:
    try:
        put(settings.slack_outbox, notice)
        found = deliver(settings, for_s=_SENDER_S)
    except OSError as error:  # then it is asked of Slack at least once
        _log.error("the notice %r cannot wait for Slack: %s", notice.title, error)
        _post_now(notice, settings)
    else:
        if found.problem:
            _log.warning("the notice %r is kept and waits for Slack: %s", notice.title, found.problem)


def _post_now(notice: Notice, settings: Settings) -> None:
    try:
        post(settings.slack_webhook_url, notice)
    except (SlackError, OSError) as error:
        _log.error("the notice %r is lost for Slack: %s", notice.title, error)


def _refused(one: Waiting, error: SlackError, settings: Settings) -> None:
    notice = one.notice
    _log.warning("the notice %r is kept but was not posted: %s", notice.title, error)
    append(
        settings.notices,
        Notice(
            severity="SEV3",
            title="A notice did not reach Slack",
            text=f"{notice.severity} {notice.title}: {error}",
            link=notice.link,
            time=datetime.now(UTC),
        ),
    )
