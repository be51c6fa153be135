"""Replay of past days in event time: features of a minute first, then the requests of that minute."""
