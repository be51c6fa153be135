"""The alarm of the prediction log: said when records begin to be lost and when that is over, not at every one."""

import logging

_log = logging.getLogger(__name__)


class Loss:
    """`reason` is why records are being lost now; empty while none are."""

    def __init__(self) -> None:
        self.reason = ""
        self._records = 0

    def lost(self, records: int, reason: str) -> None:
        """So many records could not be written."""
        if not self.reason:
            _log.error("prediction log: records are being lost: %s", reason)
        self.reason = reason
        self._records += records

    def over(self) -> None:
        """One could be written."""
        if self.reason:
            _log.error("prediction log: records are written again; %d were lost", self._records)
            self.reason, self._records = "", 0
