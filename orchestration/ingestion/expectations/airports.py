"""What must hold of the airports table, which gives every flight its destination's time zone."""

import zoneinfo

from orchestration.ingestion.expectations.suite import Suite


def airports_suite() -> Suite:
    """The suite; time zones are those that this machine knows."""
    return Suite(
        name="airports",
        identity=("faa",),
        required=("faa", "lat", "lon"),
        empty=("unreadable",),
        ranges={"lat": (-90, 90), "lon": (-180, 180)},
        allowed={"tzone": zoneinfo.available_timezones()},
        patterns={"faa": "^[A-Z0-9]{3,4}$"},
        unique=(("faa",),),
    )
