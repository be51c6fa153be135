"""`python -m orchestration.incidents`: the receiver of alerts; with `draft`, a document by hand."""

import argparse
import logging
import signal
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, datetime

import redis

from orchestration.incidents.audit import Audit
from orchestration.incidents.document import TemplateError, read_template
from orchestration.incidents.entries import Heard
from orchestration.incidents.incident import Incident, short, slug, stamp
from orchestration.incidents.issues import Issues
from orchestration.incidents.jira import Jira, account
from orchestration.incidents.metrics import Metrics
from orchestration.incidents.process import Process, ReceiverRunsError, only_one
from orchestration.incidents.records import read_journal
from orchestration.incidents.server import Routes, served
from orchestration.incidents.writer import Known, Writer
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 when it was asked to stop or has drafted, 1 where it cannot, 2 for bad arguments."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.do == "draft" and given.end <= given.start:
        parser.error("--end must be after --start")
    logging.basicConfig(
        level=logging.WARNING if given.do else logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        settings = Settings.load()
        writer = Writer(settings, read_template())
        if given.do == "draft":
            return _draft(given, settings, writer)
        return _receive(given.host, settings, writer)
    except redis.RedisError as error:
        print(f"incidents: Redis cannot be read (REDIS_URL, REDIS_PORT): {error}", file=sys.stderr)
    except (ReceiverRunsError, TemplateError, OSError, ValueError) as error:
        print(f"incidents: {error}", file=sys.stderr)
    return 1


def _receive(host: str, settings: Settings, writer: Writer) -> int:
    stop = threading.Event()
    with ExitStack() as open_until_the_end, only_one(settings.incident_journal):
        where = account(settings)
        metrics, audit = Metrics(), Audit(RolloutStore.connect(settings.redis_url))
        process = Process(settings, audit, writer, metrics)
        if where is not None:
            process.issues = Issues(open_until_the_end.enter_context(Jira(where)), process.records.add)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        with served(host, settings.incidents_port, Routes(process.hear, process.health, metrics.exposition)):
            process.run(stop)
    return 0


def _draft(given: argparse.Namespace, settings: Settings, writer: Writer) -> int:
    """A document for what no alert and no rollback has told: what machines know of the period, and places to write."""
    audit = Audit(RolloutStore.connect(settings.redis_url))
    audit.follow()
    heard = [entry for entry in read_journal(settings.incident_journal) if isinstance(entry, Heard)]
    incident = Incident(
        id=f"draft-{short(given.title)}-{stamp(given.start)}",
        severity=given.severity,
        title=given.title,
        name=slug(given.title),
        began=given.start,
        noticed=given.start,
        ended=given.end,
        no_jira=True,
    )
    print(writer.write(incident, Known(audit.states, heard), datetime.now(UTC)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.incidents",
        description="Take Alertmanager's webhook on INCIDENTS_PORT, follow the rollout, write incident documents into "
        "INCIDENTS_PATH, open issues in Jira where JIRA_URL is set.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    commands = parser.add_subparsers(dest="do", metavar="draft")
    draft = commands.add_parser("draft", help="write a document for a period, for what no alert and no rollback told")
    draft.add_argument("--start", type=_instant, required=True, metavar="WHEN", help="ISO 8601, UTC where no zone")
    draft.add_argument("--end", type=_instant, required=True, metavar="WHEN", help="the same")
    draft.add_argument("--title", type=_title, required=True, help="what users saw, in a line")
    draft.add_argument("--severity", choices=("SEV1", "SEV2"), default="SEV2", help="default SEV2")
    return parser


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 instant") from None


def _title(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("a title must say something")
    return text.strip()


if __name__ == "__main__":
    sys.exit(main())
