"""`python -m orchestration.features.skew [DAY]`: is what was served what training would have seen?"""

import argparse
import sys
from datetime import date

import redis

from orchestration.console import table_console
from orchestration.features.skew.judged import judge_day
from orchestration.features.skew.report import SkewReport
from orchestration.features.skew.table import COLUMNS, compared, table_rows
from orchestration.features.skew.verdict import SkewVerdict
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore

EXIT = {"pass": 0, "fail": 1, "inconclusive": 2}


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 where every feature is as in training, 1 where one is not, 2 where it cannot be told, with what to do."""
    day = _parser().parse_args(arguments).day
    try:
        settings = Settings.load()
        judged = judge_day(settings, RolloutStore.connect(settings.redis_url), day)
    except redis.RedisError as error:
        print(f"skew: Redis, which has the contracts, cannot be read (REDIS_URL, REDIS_PORT): {error}", file=sys.stderr)
        return 2
    except ValueError as error:  # a setting: the message names it
        print(f"skew: {error}", file=sys.stderr)
        return 2
    if judged.report is not None:
        _show(judged.report)
    _say(judged.verdict)
    return EXIT[judged.verdict.outcome]


def _show(report: SkewReport) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = table_console()
    for line in compared(report):
        console.print(escape(line))
    table = Table(*COLUMNS)
    for row in table_rows(report):
        table.add_row(*map(escape, row), style="red" if row[2] != "0" else None)
    console.print(table)


def _say(verdict: SkewVerdict) -> None:
    print(f"Verdict: {verdict.outcome}, {verdict.reason}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.features.skew",
        description="Recompute the features of a day's logged predictions offline and compare them with what was served.",
        epilog="Exit 0: as in training; 1: a feature differs; 2: it cannot be told, with what to do. Land the log first "
        "(job land_predictions).",
    )
    parser.add_argument(
        "day",
        metavar="DAY",
        nargs="?",
        type=_day,
        help="YYYY-MM-DD, the requests of 23:00 UTC of the day before to 23:00 of this one, as its features are stored; "
        "default: the newest with logged predictions and stored features",
    )
    return parser


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day, write YYYY-MM-DD") from None


if __name__ == "__main__":
    sys.exit(main())
