"""What must hold of tidy flights. The bounds let every day of 2013 through, blizzards and holidays included.

There is no rule on the order of the rows: the source has none, and ours is made by sorting.
"""

from collections.abc import Collection

from orchestration.ingestion.columns import FLIGHTS, FLIGHTS_EVIDENCE
from orchestration.ingestion.expectations.suite import Suite

ORIGINS = ("EWR", "JFK", "LGA")
CARRIER = "^[A-Z0-9]{2}$"
# Feature partitions are cut an hour before midnight: no flight may leave an hour or more before its schedule.
EARLIEST_DEPARTURE_MIN = -59
_COLUMNS = FLIGHTS | FLIGHTS_EVIDENCE
# A row lacks its sched_load only where it breaks another rule, and its day never: rows without one are no part of this.
_NULLABLE = {"dep", "arr", "dep_delay", "arr_delay", "unreadable", "sched_load", "day"}


def flights_suite(destinations: Collection[str]) -> Suite:
    """The suite of flights to `destinations`, the airports whose time zone is known."""
    return Suite(
        name="flights",
        identity=("request_id",),
        required=[column for column in _COLUMNS if column not in _NULLABLE],
        empty=("unreadable",),
        ranges={
            "clock_off_min": (0, 0),
            "minute": (0, 59),
            "dep_delay": (EARLIEST_DEPARTURE_MIN, 2880),
            "arr_delay": (-180, 2880),
            "flight": (1, 9999),
            "distance": (1, 6000),
            "block": (10, 1439),
            "dow": (1, 7),
            "dep_min": (0, 1439),
            "sched_load": (1, 200),
        },
        allowed={"origin": ORIGINS, "dest": destinations},
        patterns={"carrier": CARRIER, "tailnum": "^[A-Z0-9]{3,7}$"},
        unique=(("carrier", "flight", "sched_dep"), ("request_id",)),
        after=(("arr", "dep"), ("sched_arr", "sched_dep")),
        filled_where=(("dep", "cancelled", False),),
        empty_where=(("dep", "cancelled", True), ("arr", "cancelled", True)),
        null_shares={"dep": 0.8, "arr": 0.8},  # .58 on 9 February 2013
        least_rows={"EWR": 130, "JFK": 150, "LGA": 100},  # 181, 214 and 147 in the leanest days
        volume=(0.5, 1.5),  # .60 on 9 February, 1.32 on 3 September
    )
