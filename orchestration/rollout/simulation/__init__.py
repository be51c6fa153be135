"""The error rates and the speed of the tests, by simulation through the very functions that judge a trial."""
