"""Notices: what a person should hear of, kept in PLATFORM_HOME/notices.jsonl and posted to Slack where that is set up."""
