"""The event times that the fault tests ask for."""

from datetime import timedelta

from tests.serving_gateway.support import EVENT_TIME

DAY = (EVENT_TIME - timedelta(hours=6), EVENT_TIME + timedelta(hours=6))
