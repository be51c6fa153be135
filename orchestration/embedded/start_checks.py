"""What is looked at before anything is started: the home's format, its databases' revisions, the files of policy."""

from orchestration.embedded.environment import NotReadyToStartError
from orchestration.home_format import HomeFormatError, bring_up_to_date, installed_versions
from orchestration.schema_revisions import SchemaError, require_current
from orchestration.settings import Settings


def check_versions(settings: Settings) -> None:
    """Raise NotReadyToStartError naming the file and the field that this platform does not know, and what to do.

    A home of an older format is migrated.
    """
    from orchestration.health.policy import HealthPolicyError, read_health_policy
    from orchestration.rollout.policy import PolicyError, read_policy
    from orchestration.training.gates import GatesError, read_gates

    try:
        read_policy(settings.rollout_policy)
        read_health_policy(settings.health_policy)
        read_gates(settings.metric_gates)
        bring_up_to_date(settings.home, installed_versions())
        require_current(settings.home)
    except (PolicyError, HealthPolicyError, GatesError, HomeFormatError, SchemaError) as error:
        raise NotReadyToStartError(str(error)) from error
    except OSError as error:
        raise NotReadyToStartError(f"PLATFORM_HOME cannot be used: {error}") from error
