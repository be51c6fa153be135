"""What must hold of hourly weather at the three airports. The bounds let every day of 2013 through."""

import math

from orchestration.ingestion.expectations.flights import ORIGINS
from orchestration.ingestion.expectations.suite import Suite

WEATHER_SUITE = Suite(
    name="weather",
    identity=("origin", "time_hour"),
    required=("origin", "time_hour", "precip", "visib", "clock_off_min"),
    empty=("unreadable",),
    ranges={
        "clock_off_min": (0, 0),
        "step_min": (1, math.inf),  # in the source's own order, hours increase at each airport
        "temp": (-40, 130),
        "dewp": (-60, 100),
        "humid": (0, 100),
        "wind_dir": (0, 360),
        "wind_speed": (0, 150),
        "wind_gust": (0, 200),
        "precip": (0, 5),
        "pressure": (920, 1070),
        "visib": (0, 20),
    },
    allowed={"origin": ORIGINS},
    unique=(("origin", "time_hour"),),
    # .64 of the pressures on one day of 2013, .1 of the wind directions, a row or two of the others
    null_shares={"temp": 0.25, "dewp": 0.25, "humid": 0.25, "wind_dir": 0.5, "wind_speed": 0.25, "pressure": 0.8},
    least_rows=dict.fromkeys(ORIGINS, 12),  # 17 in the leanest day
    volume=(0.6, 1.5),  # .79 on 26 October
)
