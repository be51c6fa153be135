"""The page as somebody on call sees it, in a real Chromium over real gateways."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving_gateway.control.steps import begin_trial, enter_step
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import first_state, rolled_back, set_weight, start_canary
from tests.browser import Browser, Tab, browser, chromium
from tests.servers import RedisServer, redis_server
from tests.serving_gateway.faulty_triton import FaultyTriton, faulty_triton
from tests.serving_gateway.support import CONTRACT, GIVEN, TWO, GatewayProcess, arm_of, gateway_process

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(chromium() is None, reason="no chromium: as root, apt-get install chromium"),
]
MARKUP = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
AS_SENT = f"it is {MARKUP}"
TOKEN = "s3cret"
# The lowest contrast of any text against what lies behind it (WCAG 2.1, section 1.4.3), with that text.
CONTRAST = """(() => {
  const rgb = (css) => css.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] !== 0) return c; } return [255, 255, 255]; };
  let worst = [21, ""];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility() || e.closest("script, :disabled")) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst[0]) worst = [ratio, e.textContent];
  }
  return worst;
})()"""


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture(scope="module")
def triton_stand_in() -> Iterator[FaultyTriton]:
    with faulty_triton() as found:
        found.scores = {"delay_v1": 0.25, "delay_v2": 0.75}
        yield found


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as found:
        yield found


@pytest.fixture
def gateway(own_redis: RedisServer, triton_stand_in: FaultyTriton, tmp_path: Path) -> Iterator[GatewayProcess]:
    triton_stand_in.faults.clear()
    with gateway_process(
        tmp_path, own_redis.url, triton_stand_in.address, GATEWAY_ID="first", ADMIN_TOKEN=TOKEN
    ) as found:
        yield found


@pytest.fixture
def store(own_redis: RedisServer) -> RolloutStore:
    """Of a rollout whose canary has 10 % of the keys after three changes."""
    found = RolloutStore.connect(own_redis.url)
    for contract in (CONTRACT, TWO):
        found.put_contract(contract)
    now = datetime.now(UTC)
    found.write(first_state(arm_of(CONTRACT), actor="dagster:1", reason="the first", now=now), None)
    canary = {"weight_bp": 500, "shadow_fraction": 1.0, "actor": MARKUP, "reason": "weekly", "now": now}
    found.change(lambda state: start_canary(state, arm_of(TWO), **canary))
    found.change(lambda state: set_weight(state, 1000, actor="cli:ada", reason=AS_SENT, now=now))
    return found


@contextmanager
def load(gateway: GatewayProcess) -> Iterator[None]:
    """A client that asks on and on, each time for another key."""
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=gateway.url) as client:
            number = 0
            while not over.wait(0.01):
                number += 1
                row = {"features": GIVEN, "entities": {"tailnum": f"N{number}"}, "event_time": "2013-05-01T12:00:00Z"}
                client.post("/predict", json=row, headers={"x-routing-key": str(number)})

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def opened(chrome: Browser, gateway: GatewayProcess, **how: object) -> Tab:
    tab = chrome.tab(**how)  # type: ignore[arg-type]
    tab.open(f"{gateway.url}/")
    tab.wait("document.body.dataset.level !== 'waiting'")
    tab.complaints.clear()
    return tab


def test_it_shows_what_serves_and_every_value_as_text(
    chrome: Browser, gateway: GatewayProcess, store: RolloutStore
) -> None:
    with load(gateway):
        tab = opened(chrome, gateway)
        tab.wait("document.querySelectorAll('#arms tbody tr').length === 4")
        tab.wait("document.querySelector('#signals').innerText.includes('Canary agrees')")
        tab.wait(
            "window_.seconds > 4 && window_.quantile(0.99, 'serving_app_request_latency_seconds', 'canary') !== null"
        )
    assert tab.text("h1") == "Healthy, a canary is on trial"
    assert (
        tab.text("#serves") == "delay v1 answers 90 % of the keys, canary delay v2 answers 10 % and shadows the rest."
    )
    arms = tab.text("#arms")
    for shown in ("baseline", "canary", "control", "shadow", "delay v1", "delay v2", "90 %", "10 %", "ms"):
        assert shown in arms
    signals = tab.text("#signals")
    assert "Shadow agrees\n0.00 %" in signals, "0.25 and 0.75 lie on both sides of the threshold"
    assert "scores differ by 0.5000 on average" in signals
    assert tab.text("#served-by") == "1 of 1 live serve 1:3"
    assert "first" in tab.text("#gateways")
    history = tab.text("#history")
    for shown in ("Canary 5 % → 10 %", "delay v2 on trial at 5 %", "delay v1 is the baseline", AS_SENT, f"by {MARKUP}"):
        assert shown in history
    assert AS_SENT in tab.text("#change")
    assert tab.evaluate("document.querySelectorAll('main script, img').length") == 0
    assert tab.evaluate("document.title") == "✓ Healthy, a canary is on trial, delay v1"
    assert tab.evaluate("[...document.querySelectorAll('nav a')].map((a) => a.textContent)") == [
        "Dagster",
        "MLflow",
        "Reports",
        "Metrics",
    ]
    assert tab.complaints == []


def test_on_a_phone_and_in_the_dark_it_stays_legible(
    chrome: Browser, gateway: GatewayProcess, store: RolloutStore, tmp_path: Path
) -> None:
    for dark in (False, True):
        tab = opened(chrome, gateway, size=(390, 844), dark=dark)
        tab.wait("document.querySelectorAll('#history li').length === 3")
        assert tab.evaluate("document.documentElement.scrollWidth") == 390, "nothing makes the page scroll sideways"
        ratio, text = tab.evaluate(CONTRAST)
        assert ratio >= 4.5, text
        assert tab.evaluate("document.querySelector('#open-rollback').getBoundingClientRect().height") >= 40
        tab.click("#open-rollback")
        ratio, text = tab.evaluate(CONTRAST)
        assert ratio >= 4.5, text
        tab.picture(tmp_path / "phone.png")
        assert (tmp_path / "phone.png").stat().st_size > 20_000


def test_the_button_rolls_back_with_token_and_reason(
    chrome: Browser, gateway: GatewayProcess, store: RolloutStore
) -> None:
    tab = opened(chrome, gateway)
    tab.wait("!document.querySelector('#open-rollback').disabled")
    tab.click("#open-rollback")
    assert tab.text("#rollback-effect") == (
        "delay v2 loses its 10 % of the keys and shadows no more. delay v1 answers everything. Generation 3 becomes 4."
    )
    tab.click("#confirm")
    assert not tab.evaluate("document.querySelector('#rollback form').checkValidity()"), "both fields are required"
    tab.fill("#token", "wrong")
    tab.fill("#reason", MARKUP)
    tab.click("#confirm")
    tab.wait("document.querySelector('#rollback-error').textContent")
    assert tab.text("#rollback-error").startswith("send the admin token")
    state = store.read()
    assert state is not None
    assert state.generation == 3

    tab.fill("#token", TOKEN)
    tab.complaints.clear()  # the console told of the 401
    tab.click("#confirm")
    tab.wait("document.querySelector('#alerts').textContent.includes('1 of 1 live gateways serve it')")
    assert "Rolled back: 1:4 stands." in tab.text("#alerts")
    assert not tab.evaluate("document.querySelector('#rollback').open")
    assert tab.evaluate("document.querySelector('#token').value") == "", "the token is not kept"
    tab.wait("document.querySelector('h1').textContent === 'Canary stopped, baseline answers'")
    assert f"The canary delay v2 was stopped by admin: {MARKUP}" in tab.text("#alerts")
    assert tab.evaluate("document.querySelector('#open-rollback').disabled")
    assert [(s.phase, s.reason, s.actor) for s in store.history(1)] == [("rolled_back", MARKUP, "admin")]
    assert tab.complaints == []


def test_a_led_trial_is_shown_held_released_and_approved(
    chrome: Browser, gateway: GatewayProcess, store: RolloutStore
) -> None:
    tab = opened(chrome, gateway)
    tab.wait("document.querySelector('#trial').textContent === 'The trial is led by hand.'")
    assert tab.evaluate("document.querySelector('#rulings').hidden"), "there is nothing to hold"
    signed: dict[str, Any] = {"actor": "dagster:1", "reason": "weekly", "now": datetime.now(UTC)}
    at: dict[str, Any] = {"event_time": datetime(2013, 5, 1, 12, tzinfo=UTC)}
    store.change(lambda s: rolled_back(s, **signed))
    store.change(lambda s: begin_trial(s, arm_of(TWO), weight_bp=0, shadow_fraction=1.0, **at, **signed))
    told = "Trial at step 0 since 2013-05-01 12:00:00 UTC (event time)."
    tab.wait(f"document.querySelector('#trial').textContent === '{told}'")

    def say(what: str, reason: str) -> None:
        tab.wait(f"!document.querySelector('#open-{what}').hidden")
        tab.click(f"#open-{what}")
        for field, text in (("#reason", reason), ("#token", TOKEN)):
            tab.fill(field, text)
        tab.click("#confirm")
        tab.wait("!document.querySelector('#rollback').open")

    say("hold", MARKUP)
    tab.wait("document.querySelector('#trial').textContent.includes('; held by admin: <script>')")
    say("approve", "seen")
    tab.wait("document.querySelector('#trial').textContent.includes('; approved by admin: seen')")
    say("release", "back")
    tab.wait("!document.querySelector('#trial').textContent.includes('held by')")
    assert all(told in tab.text("#history") for told in ("Trial held", "Step approved", "Trial released"))
    assert "Released: 1:8 stands." in tab.text("#alerts")

    shares = {"weight_bp": 10_000, "shadow_fraction": 0.0, "evidence": "e", **at, **signed}
    store.change(lambda s: enter_step(s, 1, **shares))
    tab.wait("document.querySelector('h1').textContent === 'Healthy, a model is promoted under watch'")
    assert tab.text("#serves") == "delay v2 answers everything, delay v1 scores beside it and can take it back."
    assert tab.complaints == []


def test_nothing_served_a_failing_canary_no_redis_and_no_gateway_are_said_plainly(
    chrome: Browser,
    gateway: GatewayProcess,
    own_redis: RedisServer,
    triton_stand_in: FaultyTriton,
    request: pytest.FixtureRequest,
) -> None:
    tab = opened(chrome, gateway)
    assert tab.text("h1") == "Nothing is served yet"
    assert "publish a model first" in tab.text("#serves")
    request.getfixturevalue("store")
    tab.wait("document.querySelector('h1').textContent.startsWith('Healthy')")

    triton_stand_in.faults["delay_v2"] = "error"
    with load(gateway):
        tab.wait("document.querySelector('h1').textContent === 'Canary stopped, baseline answers'")
    assert "The canary delay v2 was stopped by gateway:first: 6 of the last 6 canary requests failed" in tab.text(
        "#alerts"
    )
    assert "Rolled back delay v2" in tab.text("#history")

    own_redis.process.kill()
    tab.wait("document.querySelector('#alerts').textContent.includes('Redis is down')")
    assert "as last known" in tab.text("#history-title")
    assert "Rolled back delay v2" in tab.text("#history"), "what was known stays"

    gateway.process.kill()
    tab.wait("!document.querySelector('#stale').hidden")
    assert "Stale: the gateway does not answer" in tab.text("#stale")
    assert tab.evaluate("document.title") == "? The gateway does not answer"


def test_figures_are_those_of_prometheus(chrome: Browser, gateway: GatewayProcess) -> None:
    """Rates and quantiles over the window, of counters that grow, and of a gateway that started anew."""
    tab = opened(chrome, gateway)
    found = tab.evaluate("""(() => {
      const text = (n, le, restarted) => `# TYPE x histogram
serving_app_http_responses_total{route="/",status="200"} ${restarted ? 1 : n + 5}
serving_app_request_latency_seconds_bucket{le="0.001",model_variant="baseline"} ${le[0]}
serving_app_request_latency_seconds_bucket{le="0.01",model_variant="baseline"} ${le[1]}
serving_app_request_latency_seconds_bucket{le="+Inf",model_variant="baseline"} ${le[2]}
serving_app_requests_total{model_variant="baseline",outcome="ok"} ${n}
serving_app_requests_total{model_variant="a \\\\"b\\\\", c=\\\\"d\\\\"",outcome="ok"} 7
`;
      const w = new Window(), q = (p) => w.quantile(p, "serving_app_request_latency_seconds", "baseline");
      w.add(100, parsed(text(10, [5, 5, 5])));
      const first = [w.seconds, q(0.5)];
      w.add(110, parsed(text(110, [55, 105, 105])));
      const ofBaseline = (l) => l.model_variant === "baseline";
      const then = [w.seconds, w.growth("serving_app_requests_total", ofBaseline), w.rates("serving_app_requests_total", ofBaseline), q(0.25), q(0.75), total(w.last, "serving_app_requests_total")];
      w.add(112, parsed(text(0, [0, 0, 9], true)));
      const anew = [w.seconds, q(0.5)];
      w.add(114, parsed(text(0, [0, 0, 18], true)));
      return { first, then, anew, beyond: q(0.5) };
    })()""")
    assert found["first"] == [0, None]
    seconds, growth, rates, quarter, three_quarters, everything = found["then"]
    assert (seconds, growth, rates, everything) == (10, 100, [10], 117)
    assert quarter == pytest.approx(0.0005)
    assert three_quarters == pytest.approx(0.0055)
    assert found["anew"] == [0, None]
    assert found["beyond"] == 0.01, "all that is known of what lies beyond the last bound"
