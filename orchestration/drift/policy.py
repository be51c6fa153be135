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
