"""Which trace a request belongs to, and where its time went: a trace id in every answer, spans of a sample, logs with the ids."""
