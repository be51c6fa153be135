"""The evidence and the rollout as gauges: the figures are those that decided."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from orchestration.gauges import Gauge
from orchestration.rollout.evidence import Evidence
from orchestration.rollout.gauges import convergence_gauges, evidence_gauges, state_gauges
from orchestration.rollout.policy import shipped_policy
from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import CRITERIA, Verdict, judge
from serving_gateway.contracts.rollout import Arm, Arms, RolloutState, TrialMark
from serving_gateway.control.store import Acknowledgement

NOW = datetime(2026, 5, 1, tzinfo=UTC)
POLICY = shipped_policy().evidence
TRIAL = Trial("m_v2", 1, 2)


def by_labels(gauges: list[Gauge]) -> dict[tuple[str, ...], float]:
    """(name, label values in their order) to value; nothing twice."""
    found = {(gauge.name, *gauge.labels.values()): gauge.value for gauge in gauges}
    assert len(found) == len(gauges)
    assert all(gauge.help for gauge in gauges)
    return found


def test_a_conviction_stands_above_its_bound_and_every_test_has_its_figures() -> None:
    verdict = judge(Evidence(loss=np.full(200, 0.5), errors=np.zeros(50)), POLICY)
    found = by_labels(evidence_gauges(TRIAL, verdict, POLICY, NOW))
    assert found["rollout_judged_timestamp_seconds",] == NOW.timestamp()
    assert found["rollout_verdict", "m_v2", "fail"] == 1
    assert sum(found["rollout_verdict", "m_v2", outcome] for outcome in ("pass", "inconclusive", "error")) == 0
    assert found["rollout_evidence_outcome", "m_v2", "loss", "fail"] == 1
    assert found["rollout_evidence_rows", "m_v2", "loss"] == 200
    assert found["rollout_evidence_difference", "m_v2", "loss"] == 0.5
    evidence = found["rollout_evidence_log10", "m_v2", "loss", "worse"]
    assert 10**evidence == pytest.approx(verdict.criterion("loss").e_fail)
    bound = found["rollout_evidence_bound_log10", "m_v2", "loss", "worse"]
    assert bound == pytest.approx(math.log10(1 / (0.05 * 0.4)))
    assert evidence > bound
    for test in CRITERIA:
        assert found["rollout_evidence_bound_log10", "m_v2", test, "not_worse"] == pytest.approx(math.log10(20))
        assert ("rollout_evidence_difference", "m_v2", test) in found or not verdict.criterion(test).rows


def test_without_a_trial_there_is_a_look_and_no_evidence() -> None:
    nobody = Verdict("inconclusive", "no model is on trial")
    found = by_labels(evidence_gauges(None, nobody, POLICY, NOW))
    assert found["rollout_verdict", "none", "inconclusive"] == 1
    assert not [name for name, *_ in found if name.startswith("rollout_evidence")]


def state(trial: TrialMark | None) -> RolloutState:
    def arm(version: int) -> Arm:
        return Arm(model="m", version=str(version), triton_model=f"m_v{version}", contract_digest="d")

    return RolloutState(
        epoch=3,
        generation=7,
        phase="canary",
        arms=Arms(baseline=arm(1), canary=arm(2), shadow=arm(2)),
        canary_weight_bp=2500,
        shadow_fraction=0.5,
        time=NOW.isoformat(),
        trial=trial,
    )


def test_the_rollout_is_told_as_the_store_has_it() -> None:
    found = by_labels(state_gauges(state(TrialMark(epoch=3, generation=2, step=2, held="ann: wait"))))
    phases = {name[1]: value for name, value in found.items() if name[0] == "rollout_phase"}
    assert phases == {"stable": 0, "shadow": 0, "canary": 1, "promoted": 0, "rolled_back": 0}
    assert {name[1:] for name in found if name[0] == "rollout_arm"} == {
        ("baseline", "m", "1"),
        ("canary", "m", "2"),
        ("shadow", "m", "2"),
    }
    assert [found[f"rollout_state_{name}",] for name in ("epoch", "generation", "canary_weight", "step", "held")] == [
        3,
        7,
        0.25,
        2,
        1,
    ]
    assert found["rollout_changed_timestamp_seconds",] == NOW.timestamp()


@pytest.mark.parametrize("trial", [None, TrialMark(epoch=3, generation=2)])
def test_a_trial_led_by_hand_is_at_no_step(trial: TrialMark | None) -> None:
    found = by_labels(state_gauges(state(trial)))
    assert (found["rollout_state_step",], found["rollout_state_held",]) == (-1, 0)


def test_gateways_are_counted_by_what_they_said_last() -> None:
    def said(generation: int) -> Acknowledgement:
        return Acknowledgement("g", 3, generation, 2500, 0.0)

    heard = [(said(7), 0.5), (said(7), 1.0), (said(6), 2.9), (said(7), 3.1)]
    found = by_labels(convergence_gauges(state(None), heard))
    assert {name[1]: value for name, value in found.items()} == {"current": 2, "other": 1, "silent": 1}
