"""Replay of past days in event time: the events of a minute first, then its requests."""
