from pathlib import Path

import pytest

from serving_gateway.settings import Settings, SettingsError, redis_url, without_password


def test_defaults_are_loopback_and_ports_of_the_embedded_profile() -> None:
    s = Settings.load({})
    assert (s.host, s.port, s.triton_http, s.redis_url) == (
        "127.0.0.1", 8000, "127.0.0.1:8100", "redis://127.0.0.1:6379/0",
    )  # fmt: skip
    assert s.home == Path(__file__).parents[2] / ".local"
    assert s.gateway_id.endswith("-8000")
    assert (s.replay, s.reflex) == (False, "on")


def test_a_port_alone_moves_an_address_and_an_address_wins_over_a_port() -> None:
    assert Settings.load({"REDIS_PORT": "7", "TRITON_HTTP_PORT": "9"}).redis_url == "redis://127.0.0.1:7/0"
    assert Settings.load({"TRITON_HTTP_PORT": "9"}).triton_http == "127.0.0.1:9"
    assert Settings.load({"TRITON_HTTP_PORT": "9", "TRITON_HTTP": "t:1"}).triton_http == "t:1"


def test_an_empty_variable_is_unset() -> None:
    assert Settings.load({"GATEWAY_PORT": "", "GATEWAY_ID": ""}) == Settings.load({})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEWAY_PORT", "0"),
        ("GATEWAY_PORT", "65536"),
        ("GATEWAY_PORT", "-1"),
        ("GATEWAY_PORT", "²"),
        ("GATEWAY_PORT", "8000 "),
        ("REDIS_URL", "localhost"),
        ("REDIS_URL", "redis://127.0.0.1:abc/0"),
        ("REDIS_URL", "redis://127.0.0.1:99999/0"),
        ("REDIS_URL", "http://127.0.0.1:6379/0"),
        ("TRITON_HTTP", "localhost"),
        ("TRITON_HTTP", ":8100"),
        ("TRITON_HTTP", "h:x"),
        ("GATEWAY_ID", "a/b"),
        ("GATEWAY_ID", ".."),
        ("EVENT_CLOCK", "Replay"),
        ("REFLEX", "yes"),
        ("GATEWAY_DEADLINE_MS", "1e3"),
        ("GATEWAY_SHADOW_QUEUE_ROWS", "0"),
        ("GATEWAY_SPOOL_MAX_BYTES", "1GB"),
        ("GATEWAY_MAX_BODY_BYTES", "8 MiB"),
        ("LOG_LEVEL", "info"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://127.0.0.1:4317"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:99999"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/v1?x=1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1"),
        ("OTEL_TRACES_SAMPLER", "traceidratio "),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "2.0"),
        ("OTEL_TRACES_SAMPLER_ARG", "-0.1"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.01"),
    ],
)
def test_a_bad_value_names_the_variable(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{variable} must be .*, got "):
        Settings.load({variable: value})


def test_where_spans_go() -> None:
    s = Settings.load({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c.example:4318/otlp", "OTEL_TRACES_SAMPLER_ARG": "0.01"})
    assert (s.otlp_endpoint, s.traces_sampler_arg) == ("https://c.example:4318/otlp", 0.01)
    assert Settings.load({}).otlp_endpoint == ""
    assert Settings.load({"OTEL_TRACES_SAMPLER_ARG": "1"}).traces_sampler_arg == 1.0


def test_a_password_is_never_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({"REDIS_URL": "redis://me:s3c@ret@127.0.0.1:abc/0"})
    assert str(caught.value).endswith("got 'redis://127.0.0.1:abc/0'")
    assert without_password("redis://:s3cret@h:1/0") == "redis://h:1/0"
    assert without_password("redis://h:1/0") == "redis://h:1/0"


def test_where_redis_is_needs_no_other_setting() -> None:
    assert redis_url({"REDIS_PORT": "7", "GATEWAY_PORT": "x"}) == "redis://127.0.0.1:7/0"
    with pytest.raises(SettingsError, match=r"^REDIS_PORT"):
        redis_url({"REDIS_PORT": "x"})


def test_every_setting_is_documented_once() -> None:
    table = Settings.table()
    assert len({variable for variable, _, _ in table}) == len(table)
    assert all(meaning for _, _, meaning in table)
