"""Flights and weather of New York, 2013: from the distribution's tables to daily partitions, and the checks on them."""
