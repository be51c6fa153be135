"""The four dashboards."""

from observability.grafana.boards import drift, inference, platform, rollout

BOARDS = (inference.BOARD, rollout.BOARD, drift.BOARD, platform.BOARD)
