"""When a worker is started again, when one has to be killed, and what is said of its end: plain functions."""

import signal

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
LONG_LIFE_S = 10.0
START_S = 30.0
STOP_S = 9.0


def delay_s(short_lives: int) -> float:
    """How long to wait before the next start after so many short lives in a row: twice as long each time, to a limit."""
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(short_lives - 1, 10)) if short_lives else 0.0


def overdue(*, age_s: float, ready: bool, told_to_stop_s: float | None) -> str:
    """Why a worker has to be killed; empty while it has time. `told_to_stop_s`: seconds since it was told, if it was."""
    if told_to_stop_s is not None and told_to_stop_s > STOP_S:
        return f"it did not stop within {STOP_S:g} s"
    if not ready and age_s > START_S:
        return f"it was not ready within {START_S:g} s"
    return ""


def how_it_ended(code: int, last_words: str) -> str:
    """In words. `code` is negative for a signal."""
    if last_words:
        return last_words
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exited with {code}; the log above says why" if code else "stopped"
