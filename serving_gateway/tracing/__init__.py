"""Which trace a request belongs to, and where its time went: trace ids in every answer, OpenTelemetry spans of a sample."""
