"""When the schedules tick, from the environment. Crons are in UTC; Dagster checks them when it loads the definitions."""

import os


class Crons:
    """A property for each schedule that has a time; part of the settings."""

    @property
    def cron_features(self) -> str:
        """When yesterday becomes features."""
        return os.environ.get("CRON_FEATURES") or "30 1 * * *"

    @property
    def cron_training(self) -> str:
        """When a challenger is trained."""
        return os.environ.get("CRON_TRAINING") or "0 3 * * 1"

    @property
    def cron_drift(self) -> str:
        """When the last day's requests are compared with the training window."""
        return os.environ.get("CRON_DRIFT") or "0 2 * * *"

    @property
    def cron_health(self) -> str:
        """When the answering model is judged on its labels."""
        return os.environ.get("CRON_HEALTH") or "30 2 * * *"

    @property
    def cron_skew(self) -> str:
        """When the last day's served features are compared with the offline ones."""
        return os.environ.get("CRON_SKEW") or "0 3 * * *"

    @property
    def cron_landing(self) -> str:
        """When the prediction log is moved to Parquet."""
        return os.environ.get("CRON_LANDING") or "*/5 * * * *"

    @property
    def cron_rollout(self) -> str:
        """When the trial under way is judged, and goes on where its step is done."""
        return os.environ.get("CRON_ROLLOUT") or "*/5 * * * *"
