"""Counters, gauges and histograms in memory that outlives its process and that every worker can read."""
