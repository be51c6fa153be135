import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from serving_gateway.tracing.sampling import SAMPLERS, Sampler
from serving_gateway.tracing.trace import Trace, begun

LOWEST, HIGHEST = "0" * 31 + "1", "f" * 32


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("caller", [None, True, False])
def test_by_name(name: str, caller: bool | None) -> None:
    """What OpenTelemetry's environment variables say of each: with a ratio of half, by the id; by the caller where it says so."""
    own = {"always_on": {True}, "always_off": {False}, "traceidratio": {True, False}}[name.removeprefix("parentbased_")]
    found = {
        Sampler(name, 0.5).samples(Trace(trace_id, "1" * 16, caller_samples=caller)) for trace_id in (LOWEST, HIGHEST)
    }
    assert found == ({caller} if caller is not None and name.startswith("parentbased_") else own)


@given(st.integers(1, 2**128 - 1), st.sampled_from([0.0, 1e-6, 0.01, 0.1, 0.5, 0.999, 1.0]))
def test_by_ratio_as_every_other_service_decides(trace_id: int, ratio: float) -> None:
    theirs = TraceIdRatioBased(ratio).should_sample(None, trace_id, "").decision.is_sampled()
    assert Sampler("traceidratio", ratio).samples(Trace(f"{trace_id:032x}", "1" * 16)) == theirs


def test_of_new_traces_the_share_is_sampled() -> None:
    """Binomial(20000, 0.1): five standard deviations are 212."""
    sampler = Sampler("parentbased_traceidratio", 0.1)
    sampled = sum(sampler.samples(begun(None)) for _ in range(20_000))
    assert 1788 < sampled < 2212
