"""Do the processes behind the answers live, and have they room?"""

from observability.grafana.boards.dagster import RUNS_ROW
from observability.grafana.boards.log import LOG_ROW
from observability.grafana.model import About, Board, Colour, Panel, Query, Row, above

_UP: dict[str, tuple[str, Colour]] = {"0": ("down", "red"), "1": ("up", "green")}


def _per_request(what: str) -> str:
    """Mean microseconds of a request to Triton, by model, as seconds."""
    return (
        f"sum by (model) (rate({what}[$__rate_interval])) / 1e6"
        " / sum by (model) (rate(nv_inference_request_success[$__rate_interval]))"
    )


_PROCESSES = Row(
    "Processes",
    (
        Panel(
            "states",
            "Who answers",
            About(
                "What Prometheus reaches, and what Dagster's daemon reaches: Redis and MLflow.",
                "green throughout.",
                "red: that process's log says why; a supervised one is started anew by itself.",
                "2. Immediate checks",
            ),
            (
                Query('max by (job) (up{job!="gauges"})', "{{job}}"),
                Query("max by (store) (redis_up)", "redis, {{store}}"),
                Query("max(mlflow_up)", "mlflow"),
            ),
            words=_UP,
            width=12,
        ),
        Panel(
            "stat",
            "Alerts that fire",
            About(
                "Alerts that fire now, by severity.",
                "none.",
                "sev1 and sev2 have paged somebody; each alert names its section of the runbook.",
                "1. Intake",
            ),
            (
                Query(
                    'sum by (severity) (ALERTS{alertstate="firing"})'
                    ' or label_replace(vector(0), "severity", "none", "", "")',
                    "{{severity}}",
                ),
            ),
            decimals=0,
            limits=above(1),
            colours={"sev3": "orange"},
            width=4,
        ),
        Panel(
            "bars",
            "Age of the gauges",
            About(
                "How long ago each part of the platform was looked at, by the clock on the wall.",
                "runs and platform below 2 minutes; drift and the trial as their schedules say.",
                "all of them old: the daemon does not tick, or the reports' server is down.",
                "3.4 Dagster",
            ),
            (
                Query("time() - max(dagster_look_timestamp_seconds)", "runs"),
                Query("time() - max(platform_look_timestamp_seconds)", "platform"),
                Query("time() - max(drift_look_timestamp_seconds)", "drift report"),
                Query("time() - max(rollout_judged_timestamp_seconds)", "trial"),
            ),
            unit="s",
            decimals=0,
            limits=above(36 * 3600),
        ),
    ),
)

_TRITON = Row(
    "Triton",
    (
        Panel(
            "lines",
            "Rows inferred",
            About(
                "Rows a second, by model.",
                "the models of the arms, and no other.",
                "0 for the baseline while callers ask: is it loaded?",
                "3.2 Triton",
            ),
            (Query("sum by (model) (rate(nv_inference_count[$__rate_interval]))", "{{model}}"),),
            unit="reqps",
            bounds=(0, None),
        ),
        Panel(
            "lines",
            "Rows in a batch",
            About(
                "Mean rows of an execution: arrivals that wait leave together.",
                "1 at rest, more under load.",
                "large and answers slow: the machine is full.",
                "3.2 Triton",
            ),
            (
                Query(
                    "sum by (model) (rate(nv_inference_count[$__rate_interval]))"
                    " / sum by (model) (rate(nv_inference_exec_count[$__rate_interval]))",
                    "{{model}}",
                ),
            ),
            bounds=(0, None),
        ),
        Panel(
            "lines",
            "Failures",
            About(
                "Requests a second that Triton did not answer well.",
                "0.",
                "its log says why.",
                "3.2 Triton",
            ),
            (Query("sum by (model) (rate(nv_inference_request_failure[$__rate_interval]))", "{{model}}"),),
            unit="reqps",
            limits=above(0.001),
            bounds=(0, None),
        ),
        Panel(
            "lines",
            "Time of a request",
            About(
                "Mean time in Triton, by model: all of it, and what of it was waiting.",
                "milliseconds, hardly any of it waiting.",
                "waiting grows: too little CPU for the traffic.",
                "3.2 Triton",
            ),
            (
                Query(_per_request("nv_inference_request_duration_us"), "{{model}}"),
                Query(_per_request("nv_inference_queue_duration_us"), "{{model}}, waiting"),
            ),
            unit="s",
            bounds=(0, None),
        ),
        Panel(
            "lines",
            "CPU of the machine",
            About(
                "Share of the CPU in use on Triton's machine, by what Triton measures.",
                "below 80 %.",
                "full: answers get slow. Lower the shadow's fraction, or add cores.",
                "3.2 Triton",
            ),
            (Query("max(nv_cpu_utilization)", "CPU"),),
            unit="percentunit",
            limits=above(0.95, 0.8),
            bounds=(0, 1),
        ),
        Panel(
            "lines",
            "Memory of the machine",
            About(
                "Memory in use on Triton's machine, of what there is.",
                "below 90 %.",
                "full: the kernel will end a process. Which one, `make doctor` and the logs say.",
                "3.2 Triton",
            ),
            (
                Query("max(nv_cpu_memory_used_bytes)", "used"),
                Query("max(nv_cpu_memory_total_bytes)", "there is"),
            ),
            unit="bytes",
            colours={"used": "blue", "there is": "red"},
            bounds=(0, None),
        ),
    ),
)

_REDIS = Row(
    "Redis",
    (
        Panel(
            "lines",
            "Memory",
            About(
                "What Redis uses: `control` holds rollout, log and events, `online` the features. One Redis may be both.",
                "flat from day to day.",
                "it climbs: the prediction log is not landed, or events are not read.",
                "3.5 Prediction log",
            ),
            (Query("max by (store) (redis_memory_used_bytes)", "{{store}}"),),
            unit="bytes",
            bounds=(0, None),
        ),
        Panel(
            "lines",
            "Keys",
            About(
                "Keys in Redis.",
                "as many as entities, and some.",
                "a fall to near 0: Redis has lost its memory; the updater refills it within seconds.",
                "3.3 Online features",
            ),
            (Query("max by (store) (redis_keys)", "{{store}}"),),
            bounds=(0, None),
            steps=True,
        ),
        Panel(
            "states",
            "Durability",
            About(
                "Whether the append-only file is on and could be written last time.",
                "yes.",
                "no: a restart forgets rollout and log. Look at the disk.",
                "3.3 Online features",
            ),
            (Query("min by (store) (redis_aof_ok)", "{{store}}"),),
            words={"0": ("not kept", "red"), "1": ("kept", "green")},
        ),
    ),
)

BOARD = Board(
    "drift-platform",
    "Platform",
    "Do the processes behind the answers live, and have they room?",
    (_PROCESSES, RUNS_ROW, _TRITON, _REDIS, LOG_ROW),
)
