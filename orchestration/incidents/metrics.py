"""What the receiver counts."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """One registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self._registry}
        self.notifications = Counter("incidents_notifications", "Notifications of Alertmanager", ["outcome"], **own)
        self.open = Gauge("incidents_open", "Incidents that have not ended", ["severity"], **own)
        self.documents = Gauge("incidents_documents_waiting", "Incidents whose document lacks something", **own)
        self.jira = Gauge("incidents_jira_waiting", "Incidents that Jira has still to be told of", **own)
        self.refused = Gauge("incidents_jira_refused", "Incidents that Jira has refused", **own)
        self.slack = Gauge("incidents_slack_waiting", "Notices that wait for Slack", **own)
        self.store_up = Gauge("incidents_store_up", "1 while the audit stream can be read", **own)

    def exposition(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
