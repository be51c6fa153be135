"""Which incidents there are: a fold over what was heard and done."""

from datetime import timedelta

from orchestration.incidents.entries import Asked, Commented, Documented, NoJira, Opened, Refused, Started
from orchestration.incidents.issues import waits
from orchestration.incidents.ledger import Ledger
from tests.orchestration.incidents.happenings import NOW, alert, heard, moved, rollback, trial

LATER = NOW + timedelta(minutes=20)


def ids(ledger: Ledger) -> list[str]:
    return list(ledger.incidents)


def test_a_group_that_fires_is_one_incident_until_it_ends() -> None:
    ledger = Ledger([heard(alert("SlowAnswers", "sev2"))])
    (name,) = ids(ledger)
    ledger.add(heard(alert("SlowAnswers", "sev2"), alert(fingerprint="f2"), at=NOW + timedelta(minutes=5)))
    assert ids(ledger) == [name]
    incident = ledger.incidents[name]
    assert (incident.severity, incident.ended, incident.signs) == ("SEV1", None, 2), "the worst of its alerts"
    ledger.add(heard(alert("SlowAnswers", "sev2", ended=LATER), alert(fingerprint="f2", ended=NOW), at=LATER))
    assert ledger.incidents[name].ended == LATER
    assert ledger.incidents[name].title == "SlowAnswers: Predictions fail"
    assert [one.status for one in ledger.incidents[name].alerts] == ["resolved", "resolved"]


def test_the_group_that_fires_again_is_another_incident() -> None:
    again = alert(since=LATER)
    ledger = Ledger([heard(alert()), heard(alert(ended=NOW)), heard(again, at=LATER)])
    first, second = ledger.incidents.values()
    assert (first.ended, second.ended) == (NOW, None)
    assert (first.began, second.began) == (NOW, LATER)


def test_an_alert_that_was_told_as_over_and_was_not_is_the_same_incident() -> None:
    """A restarted Prometheus resolves what it has forgotten, and finds it again with its old start."""
    ledger = Ledger([heard(alert()), heard(alert(ended=LATER)), heard(alert(), at=LATER)])
    (incident,) = ledger.incidents.values()
    assert (incident.ended, incident.signs) == (None, 3)


def test_an_alert_that_fires_in_another_group_now_is_the_same_incident() -> None:
    """Alertmanager was given another route: the old group is told of no more."""
    ledger = Ledger([heard(alert()), heard(alert(), group="by team")])
    (incident,) = ledger.incidents.values()
    assert incident.signs == 2
    ledger.add(heard(alert(ended=LATER), group="by team"))
    assert ledger.incidents[incident.id].ended == LATER
    ledger.add(heard(alert(ended=LATER)))
    assert len(ids(ledger)) == 1, "the old group's end is no news"


def test_groups_are_apart_and_sev3_makes_none() -> None:
    others = alert(fingerprint="f2"), alert(severity="sev3", fingerprint="f3")
    ledger = Ledger([heard(alert()), heard(others[0], group="triton"), heard(others[1], group="updater")])
    assert len(ids(ledger)) == 2
    assert len(ledger.heard) == 3, "a timeline may tell of it"


def test_what_is_left_out_of_a_notification_may_still_fire() -> None:
    ledger = Ledger([heard(alert()), heard(alert(ended=LATER), status="firing", truncatedAlerts=3)])
    (incident,) = ledger.incidents.values()
    assert incident.ended is None


def test_a_repeated_notification_is_known() -> None:
    ledger = Ledger([heard(alert())])
    assert ledger.repeated(heard(alert(), at=LATER).notification)
    assert not ledger.repeated(heard(alert(ended=LATER)).notification)
    assert not ledger.repeated(heard(alert(), group="triton").notification)


def test_a_rollback_is_an_incident_that_is_over_and_its_trial_is_told_once() -> None:
    end = trial()[-1]
    restored = moved(end, epoch=2, generation=1, restores=end.position, actor="gateway:east", time=LATER.isoformat())
    ledger = Ledger([rollback(end), rollback(restored, "2-0")])
    (incident,) = ledger.incidents.values()
    assert (incident.severity, incident.began, incident.ended) == ("SEV2", NOW, NOW)
    assert incident.rollback == end
    assert (incident.name, incident.signs) == ("rollback-delay-v2", 2)
    assert ledger.audited == {"1-0", "2-0"}


def test_another_trial_of_the_same_model_is_another_incident() -> None:
    ledger = Ledger([rollback(), rollback(trial(generation=11)[-1], "2-0")])
    assert len(ids(ledger)) == 2


def test_what_was_done_is_remembered() -> None:
    ledger = Ledger([heard(alert())])
    (name,) = ids(ledger)
    assert waits(ledger.incidents[name])
    ledger.add(Asked(incident=name, at=NOW))
    assert ledger.incidents[name].asked == NOW
    ledger.add(Documented(incident=name, signs=1))
    ledger.add(Opened(incident=name, issue="OPS-1", with_end=False))
    assert ledger.incidents[name].documented < ledger.incidents[name].signs, "the document names the issue"
    assert not waits(ledger.incidents[name]), "it goes on: there is nothing to say"
    ledger.add(heard(alert(ended=LATER)))
    assert waits(ledger.incidents[name])
    ledger.add(Commented(incident=name))
    assert not waits(ledger.incidents[name])
    ledger.add(Documented(incident=name, signs=3))
    assert ledger.incidents[name].documented == ledger.incidents[name].signs == 3


def test_what_jira_refused_is_tried_again_by_a_start_and_what_it_was_not_there_for_never() -> None:
    ledger = Ledger([heard(alert()), rollback()])
    first, second = ids(ledger)
    ledger.add(Refused(incident=first, reason="no such project"))
    ledger.add(NoJira(incident=second))
    assert not any(map(waits, ledger.incidents.values()))
    ledger.add(Started(at=NOW))
    assert [name for name, one in ledger.incidents.items() if waits(one)] == [first]


def test_a_line_whose_beginning_was_torn_is_passed_over() -> None:
    assert Ledger([Documented(incident="gone", signs=1)]).incidents == {}
