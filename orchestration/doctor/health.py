"""Is the model that answers well, and has somebody looked lately?"""

from datetime import datetime, timedelta

from orchestration.doctor.finding import Finding, State, duration
from orchestration.health.judged import answering
from orchestration.health.report import HealthRecordError, HealthReport, read_report
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.store import RolloutStore

# Its labels are looked at once a day, by the event clock.
OLD = timedelta(hours=36)


def check_health(settings: Settings) -> list[Finding]:
    """The last look at the labels of the model that answers. Raises redis.RedisError where Redis is away."""
    store = RolloutStore.connect(settings.redis_url)
    try:
        report = read_report(settings.reports)
    except HealthRecordError as error:
        return [_finding("attention", str(error))]
    return judge_model_health(report, store.read(), store.event_now())


def judge_model_health(report: HealthReport | None, state: RolloutState | None, now: datetime) -> list[Finding]:
    """`now` is event time."""
    if state is None:
        return [_finding("ok", "nothing is served yet")]
    if report is None:
        return [_finding("attention", "nobody has looked at the model's health yet: run the job judge_health")]
    model, ago = answering(state).triton_model, now - report.as_of
    if report.triton_model != model:
        return [_finding("attention", f"{model} answers, the last look was at {report.triton_model}: run judge_health")]
    if ago > OLD:
        seen = duration(ago.total_seconds())
        return [
            _finding("attention", f"the last look at {model} was {seen} of event time ago: run the job judge_health")
        ]
    wrong = [report.late_labels] if report.late_labels else []
    if report.verdict.outcome == "bad":
        wrong.append(f"{model} is not well: {report.verdict.reason}")
    says = f"{model} is {report.verdict.outcome}: {report.verdict.reason}"
    return [_finding("attention", one) for one in wrong] or [_finding("ok", says)]


def _finding(state: State, says: str) -> Finding:
    return Finding("model health", state, says, "3.6 Drift")
