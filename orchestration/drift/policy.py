"""The drift policy, in one place: when a column has drifted, and when a window has.

Textbook rules alarm nearly always here, because hours of one day resemble each other more than they resemble a quarter:
at PSI .2 in half of the columns all but a few days of 2013 would have "drifted". So a column is measured by its own past.
"""

# Population stability index, for every column and window size: Evidently's default test changes with the reference.
METHOD = "psi"
# A column has drifted at this PSI, or at what its own past windows reached, whichever is higher.
LEAST_PSI = 0.2
# Of the PSIs of the reference's own windows of the same length; fewer windows than this say nothing.
QUANTILE = 0.95
FEWEST_WINDOWS = 20
# A window has drifted when this share of its columns has; Evidently's own default.
DRIFT_SHARE = 0.5
# A window with fewer rows than this share of the usual number is not judged: few rows alone raise the PSI.
FEWEST_ROWS = 0.5
# A larger window is sampled for the report, whose size grows with its rows.
SAMPLE_ROWS = 20_000

# Data alarms: nulls, values out of range and stale views. Unlike drift, one feature is enough for one, so what is usual is
# taken widely: fitted on January to March, no day of the other nine months is above the limit of nulls, one of values.
# A share is unusual above this quantile of the past windows' shares, by this margin.
USUAL_QUANTILE = 0.99
NULL_MARGIN = 0.10
OUTSIDE_MARGIN = 0.05
# A value is in range between these quantiles of the training window, widened by their distance on either side: storms
# reach far, a value in seconds for minutes farther.
RANGE_QUANTILES = (0.001, 0.999)
RANGE_SPREADS = 1.0
# A view is old where its median age is above this multiple of the usual one, or, as long as that is not known, above this
# share of its ttl.
AGE_FACTOR = 1.5
AGE_OF_TTL = 0.75
# Requests that were answered without the online store, whatever was usual.
DEGRADED_SHARE = 0.01
