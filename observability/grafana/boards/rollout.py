"""Where is the model on trial, do the gateways obey, and what does the evidence say?"""

from observability.grafana.boards.arms import ARMS_ROW
from observability.grafana.boards.evidence import EVIDENCE_ROW
from observability.grafana.model import About, Board, Colour, Limit, Panel, Query, Row, above

_PHASES: dict[str, Colour] = {
    "stable": "green",
    "shadow": "purple",
    "canary": "orange",
    "promoted": "blue",
    "rolled_back": "red",
}

_NOW = Row(
    "Now",
    (
        Panel(
            "names",
            "Phase",
            About(
                "The phase of the rollout, as the store has it.",
                "stable; shadow, canary and promoted while a model is on trial.",
                "rolled_back: read why in `/rollout/history`, then review the shadow.",
                "5. Shadow review",
            ),
            (Query("rollout_phase == 1", "{{phase}}"),),
            colours=_PHASES,
            width=4,
            height=5,
        ),
        Panel(
            "stat",
            "Canary's weight",
            About(
                "Share of the routing keys that the canary answers, by what the gateways serve.",
                "what the step of the policy says; 0 without a canary.",
                "above 0 while answers are bad: take it away.",
                "4. Rollback",
            ),
            (Query("max(serving_app_canary_weight)", "weight"),),
            unit="percentunit",
            decimals=0,
            limits=(Limit(None, "text"), Limit(0.0001, "orange"), Limit(1, "blue")),
            width=4,
            height=5,
        ),
        Panel(
            "names",
            "Verdict of the last look",
            About(
                "What all tests together said when the trial was last judged.",
                "pass or inconclusive.",
                "fail: it is rolled back by itself; see that the weight is 0. error: the evidence cannot be judged, look.",
                "5.1 A rollout is under way",
            ),
            (Query("rollout_verdict == 1", "{{outcome}}"),),
            colours={"pass": "green", "inconclusive": "blue", "fail": "red", "error": "red"},
            width=4,
            height=5,
        ),
        Panel(
            "stat",
            "Gateways",
            About(
                "Gateways by what they last said: they serve the store's state, another one, or fell silent.",
                "all current.",
                "another one for more than a second: that gateway does not reach Redis. Silent: it died, or is cut off.",
                "3.1 Gateway",
            ),
            (Query("rollout_gateways", "{{serving}}"),),
            colours={"current": "green", "other": "orange", "silent": "red"},
            width=6,
            height=5,
        ),
        Panel(
            "table",
            "Arms",
            About(
                "Which model each arm is.",
                "the baseline is the champion.",
                "an arm that should not be there: roll back.",
                "4. Rollback",
            ),
            (Query("rollout_arm", "serves"),),
            key="arm",
            width=6,
            height=5,
        ),
    ),
)

_COURSE = Row(
    "Course",
    (
        Panel(
            "states",
            "Phase",
            About(
                "The phases over time.",
                "shadow, canary, promoted, stable, in this order.",
                "rolled_back: the change that did it stands in `/rollout/history` with actor and reason.",
                "5.1 A rollout is under way",
            ),
            (Query("rollout_phase", "{{phase}}"),),
            words={"0": ("", "text"), "1": ("here", "blue")},
            width=12,
        ),
        Panel(
            "lines",
            "Weights",
            About(
                "The canary's share in the store and as served, and the share of requests that the shadow scores.",
                "store and gateways are one line; it rises by the policy's steps.",
                "served is below the store: a gateway stopped the canary by itself, or lags.",
                "4. Rollback",
            ),
            (
                Query("rollout_state_canary_weight", "in the store"),
                Query("max(serving_app_canary_weight)", "served"),
                Query("rollout_state_shadow_fraction", "shadow"),
            ),
            unit="percentunit",
            colours={"in the store": "blue", "served": "orange", "shadow": "text"},
            width=12,
            bounds=(0, 1),
            steps=True,
        ),
        Panel(
            "lines",
            "Generation",
            About(
                "Number of the rollout's state in the store, and the least one that a gateway serves.",
                "one line.",
                "the gateways' stays below: who lags is named by `make doctor`.",
                "3.1 Gateway",
            ),
            (
                Query("rollout_state_generation", "in the store"),
                Query("min(serving_app_rollout_generation)", "served"),
            ),
            colours={"in the store": "blue", "served": "orange"},
            width=12,
            decimals=0,
            steps=True,
        ),
        Panel(
            "lines",
            "Gateways that do not serve the store's state",
            About(
                "How many live gateways serve another state, and how many fell silent.",
                "0 but for a moment after a change.",
                "they answer by an old state: a rollback has not reached them. Restart them.",
                "3.1 Gateway",
            ),
            (Query('rollout_gateways{serving!="current"}', "{{serving}}"),),
            limits=above(1),
            colours={"other": "orange", "silent": "red"},
            width=12,
            decimals=0,
            bounds=(0, None),
            steps=True,
        ),
    ),
)

BOARD = Board(
    "drift-rollout",
    "Rollout",
    "Where is the model on trial, do the gateways obey, and what does the evidence say?",
    (_NOW, _COURSE, EVIDENCE_ROW, ARMS_ROW),
)
