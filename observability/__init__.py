"""What watches the platform, as code: Grafana's dashboards are made here."""
