"""The prediction log: a local spool that an answer waits for, and the shipper that brings it to Redis."""
