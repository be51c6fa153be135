"""What the tests of the trial have found: betting wealth against the bounds at which they decide."""

from observability.grafana.model import About, Limit, Panel, Query, Row, above

_WORSE = 'rollout_evidence_log10{claim="worse"} / rollout_evidence_bound_log10{claim="worse"}'
_NOT_WORSE = 'rollout_evidence_log10{claim="not_worse"} / rollout_evidence_bound_log10{claim="not_worse"}'
_PASSING = (Limit(None, "blue"), Limit(1, "green"))

EVIDENCE_ROW = Row(
    "Evidence",
    (
        Panel(
            "bars",
            "How far each test is from convicting",
            About(
                "Logarithm of a test's betting wealth that the model is worse, as a share of the one that convicts.",
                "below 100 %; around 0 for an innocent model.",
                "100 % is a failed verdict: the model is rolled back by itself.",
                "5.1 A rollout is under way",
            ),
            (Query(f"clamp_min({_WORSE}, 0)", "{{test}}"),),
            unit="percentunit",
            decimals=0,
            limits=above(1, 0.5),
            bounds=(0, 1),
        ),
        Panel(
            "lines",
            "Evidence that it is worse",
            About(
                "The same, look by look. It never falls: a model that was once shown to be worse stays convicted.",
                "flat.",
                "a line that climbs will reach 100 %.",
                "5.1 A rollout is under way",
            ),
            (Query(_WORSE, "{{test}}"),),
            unit="percentunit",
            limits=above(1, 0.5),
            width=16,
            steps=True,
        ),
        Panel(
            "bars",
            "How far each test is from passing",
            About(
                "Logarithm of a test's betting wealth that the model is not worse by delta, as a share of what a pass needs.",
                "grows with the rows; the loss decides whether a trial goes on.",
                "it stands still: too few labels. Absence of evidence never promotes.",
                "5.1 A rollout is under way",
            ),
            (Query(f"clamp_min({_NOT_WORSE}, 0)", "{{test}}"),),
            unit="percentunit",
            decimals=0,
            limits=_PASSING,
            bounds=(0, 1),
        ),
        Panel(
            "lines",
            "Evidence that it is not worse",
            About(
                "The same, look by look.",
                "the line of the loss climbs to 100 %.",
                "flat for a day: look whether predictions are landed and labels come.",
                "3.5 Prediction log",
            ),
            (Query(_NOT_WORSE, "{{test}}"),),
            unit="percentunit",
            limits=_PASSING,
            width=16,
            steps=True,
        ),
        Panel(
            "table",
            "Tests of the last look",
            About(
                "Of each test: the differences it has seen (of latency blocks of requests), their mean, canary minus "
                "baseline, and the evidence as powers of ten.",
                "rows grow, mean differences are near 0.",
                "no rows in one test: the asset `canary_verdict` says why.",
                "5.1 A rollout is under way",
            ),
            (
                Query("sum by (test) (rollout_evidence_rows)", "rows"),
                Query("sum by (test) (rollout_evidence_difference)", "mean difference"),
                Query('sum by (test) (rollout_evidence_log10{claim="worse"})', "worse, 10^"),
                Query('sum by (test) (rollout_evidence_bound_log10{claim="worse"})', "convicts at 10^"),
                Query('sum by (test) (rollout_evidence_log10{claim="not_worse"})', "not worse, 10^"),
                Query('sum by (test) (rollout_evidence_bound_log10{claim="not_worse"})', "passes at 10^"),
            ),
            key="test",
            width=16,
        ),
        Panel(
            "stat",
            "Since the last look",
            About(
                "How long ago the trial was last judged, by the clock on the wall.",
                "minutes while a trial is under way (`CRON_ROLLOUT`).",
                "hours while steps lead a trial: look whether the schedule `rollout_steps` ticks.",
                "3.4 Dagster",
            ),
            (Query("time() - rollout_judged_timestamp_seconds", "ago"),),
            unit="s",
            limits=(Limit(None, "green"),),
        ),
    ),
)
