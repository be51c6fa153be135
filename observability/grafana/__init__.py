"""Four dashboards as data, and what makes Grafana's JSON of them. `python -m observability.grafana` writes the files."""
