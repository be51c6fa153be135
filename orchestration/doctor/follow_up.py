"""Does anybody who should be told wait for it?"""

import httpx

from orchestration.doctor.finding import Finding
from orchestration.settings import Settings


def check_follow_up(settings: Settings) -> list[Finding]:
    """What the receiver of alerts says of itself. Raises httpx.HTTPError where it is away."""
    answer = httpx.get(f"{settings.incidents_url}/health", timeout=5, trust_env=False)
    return judge_follow_up(answer.json()["problems"], int(answer.json()["open"]), settings)


def judge_follow_up(problems: dict[str, str], under_way: int, settings: Settings) -> list[Finding]:
    """A line for each thing that is wrong, one for the incidents under way, else one that all are told."""
    says = [f"{what}: {problem}" for what, problem in problems.items()]
    if under_way:
        says.append(f"{under_way} incidents have not ended; their documents are in {settings.incidents}")
    found = [Finding("follow-up", "attention", one, "7. After the incident") for one in says]
    return found or [Finding("follow-up", "ok", "no incident is under way, nobody waits", "7. After the incident")]
