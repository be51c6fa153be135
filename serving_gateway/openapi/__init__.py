"""What the gateway answers, described by its own types: GET /openapi.json, and docs/api.md, which is written from it."""
