"""The runbook's immediate checks: each a plain function from what was read to findings in plain words."""
