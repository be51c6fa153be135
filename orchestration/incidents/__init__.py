"""Incidents: alerts and rollbacks become documents that write themselves, and issues in Jira where that is set up."""
