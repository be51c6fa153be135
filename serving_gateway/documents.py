"""Documents that others wrote: what reading one can raise."""

import msgspec

# msgspec checks UTF-8 and depth too, but reports them by Python's own exceptions.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
