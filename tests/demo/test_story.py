"""The sample alerts are two believable weeks, the same each time, and nothing in them points at anyone real."""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from tocsin import demo
from tocsin.demo import SENSORS, STORIES, SampleAlert, sample_alerts
from tocsin.demo.sensors.suricata import recording
from tocsin.errors import InvalidInput
from tocsin.model import Alert
from tocsin.senders import REGISTRY
from tocsin.ticks import DAY, HOUR, SECOND, parse_ticks

END = parse_ticks("2031-03-05T14:20:00Z")
ENDS = [END, *(END + day * DAY + day * 5 * HOUR for day in range(1, 8))]
_DOCUMENTATION = [ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
_INSIDE = ipaddress.ip_network("10.20.0.0/16")
_ADDRESS = re.compile(r"(?<![\w.:-])(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?![\w.])")
_TOP_LEVEL = re.compile(r"[\w-]+\.(?:com|net|org|io|local|lan|internal|no|se|de|eu|uk|info|biz|cloud|app|dev)\b", re.I)


@pytest.fixture(scope="module")
def alerts() -> list[SampleAlert]:
    return sample_alerts(END)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if value[:1] in ("[", "{") and value[-1:] in ("]", "}"):
            try:
                yield from _texts(json.loads(value))
            except ValueError:
                return
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _normalised(alert: SampleAlert) -> Alert | None:
    return REGISTRY[alert.sender].normalise(alert.body)


def test_the_same_end_gives_the_same_bytes(alerts: list[SampleAlert]) -> None:
    assert sample_alerts(END) == alerts


def test_another_end_moves_everything_and_changes_no_plot(alerts: list[SampleAlert]) -> None:
    later = sample_alerts(END + 7 * DAY)
    assert later[-1].at - alerts[-1].at == 7 * DAY
    assert [(alert.sender, alert.story) for alert in later] == [(alert.sender, alert.story) for alert in alerts]


@pytest.mark.parametrize("end", ENDS)
def test_times_rise_within_the_two_weeks_and_end_minutes_ago(end: int) -> None:
    found = sample_alerts(end)
    times = [alert.at for alert in found]
    assert all(earlier < later for earlier, later in pairwise(times))
    assert end - 14 * DAY <= times[0]
    assert end - HOUR // 4 < times[-1] < end
    assert {alert.story for alert in found if alert.at > end - 7 * HOUR} >= {"fake-installer", "password-spray"}


@pytest.mark.parametrize("end", ENDS)
def test_no_alert_tells_of_what_has_not_happened_when_it_is_delivered(end: int) -> None:
    for alert in sample_alerts(end):
        seen = _normalised(alert)
        if seen is not None:
            assert seen.last_activity <= alert.at + SECOND, alert.body
            assert seen.first_activity >= end - 15 * DAY


@pytest.mark.parametrize("end", ENDS)
def test_there_is_a_good_deal_of_it_from_every_sensor(end: int) -> None:
    found = sample_alerts(end)
    assert 700 <= len(found) <= 1100
    senders = Counter(alert.sender for alert in found)
    assert senders.keys() == {"suricata", "wazuh", "sentinel", "native"}
    assert min(senders.values()) >= 100
    noise = [seen for alert in found if not alert.story and (seen := _normalised(alert)) is not None]
    subjects = {
        (seen.title, *(device.device_dns_name for device in seen.devices), *(e.ip_address for e in seen.entities))
        for seen in noise
    }
    assert len(subjects) > 100
    assert len({seen.title for seen in noise}) > 70


def test_every_alert_is_taken_by_its_sender_and_some_network_events_are_no_alert(alerts: list[SampleAlert]) -> None:
    passed_over = [json.loads(alert.body)["event_type"] for alert in alerts if _normalised(alert) is None]
    assert {"flow", "dns", "http", "tls"} <= set(passed_over)
    assert "alert" not in passed_over
    assert len(passed_over) < 60


def test_provider_ids_are_unique_within_a_sender(alerts: list[SampleAlert]) -> None:
    ids = Counter((alert.sender, seen.identity) for alert in alerts if (seen := _normalised(alert)) is not None)
    assert [key for key, times in ids.items() if times > 1] == []


def test_severities_spread(alerts: list[SampleAlert]) -> None:
    counts = Counter(seen.severity for alert in alerts if (seen := _normalised(alert)) is not None)
    total = sum(counts.values())
    assert counts.keys() == {"High", "Medium", "Low", "Informational"}
    assert 0.1 < counts["High"] / total < 0.3  # type: ignore[index]
    assert counts["Low"] / total > 0.25  # type: ignore[index]


def test_weekends_are_quiet() -> None:
    end = parse_ticks("2031-03-06T12:00:00Z")  # a Thursday
    by_day: Counter[int] = Counter()
    for alert in sample_alerts(end):
        if not alert.story and alert.at < end - 2 * DAY:
            by_day[datetime.fromtimestamp(alert.at // SECOND, UTC).weekday()] += 1
    working = sum(by_day[day] for day in range(5)) / 5
    assert (by_day[5] + by_day[6]) / 2 < working / 2


@pytest.mark.parametrize("story", sorted(STORIES))
def test_each_attack_is_seen_by_the_sensors_it_says(story: str, alerts: list[SampleAlert]) -> None:
    part = [alert for alert in alerts if alert.story == story]
    assert len(part) >= 15
    assert {alert.sender for alert in part} == set(SENSORS[story])
    tactics = {tactic for alert in part if (seen := _normalised(alert)) is not None for tactic in seen.tactics}
    assert len(tactics) >= 4


def test_every_story_on_an_alert_has_a_plot(alerts: list[SampleAlert]) -> None:
    assert {alert.story for alert in alerts} == {"", *STORIES}
    assert all(plot.endswith(".") and len(plot) > 60 for plot in STORIES.values())


def test_only_private_and_documentation_addresses_and_example_names_occur(alerts: list[SampleAlert]) -> None:
    for alert in alerts:
        for text in _texts(json.loads(alert.body)):
            for found in _ADDRESS.findall(text):
                address = ipaddress.ip_address(found)
                assert address in _INSIDE or any(address in net for net in _DOCUMENTATION), text
            assert not _TOP_LEVEL.search(text), text
            for host in re.findall(r"https?://([\w.-]+)", text):
                assert host.endswith(".example") or _ADDRESS.fullmatch(host), text
            for host in re.findall(r"(?<!@)@(\w[\w-]*\.[\w.-]+)", text):
                assert host.rstrip(".>").endswith(".example"), text


def test_the_recording_has_the_shape_of_the_real_sensor_and_is_small() -> None:
    events = [json.loads(text) for session in recording().values() for _, text in session]
    assert len(recording()) >= 40
    for event in events:
        assert {"timestamp", "flow_id", "event_type", "src_ip", "dest_ip", "proto"} <= event.keys()
        if event["event_type"] == "alert":
            assert 1_000_000 <= event["alert"]["signature_id"] < 2_000_000
    assert sum(len(json.dumps(event)) for event in events) < 300_000


@pytest.mark.parametrize("end", [0, 14 * DAY, 10**19])
def test_an_end_without_two_weeks_before_it_is_refused(end: int) -> None:
    with pytest.raises(InvalidInput, match="end"):
        sample_alerts(end)


def test_the_package_offers_what_it_says() -> None:
    assert set(demo.__all__) == {"SENSORS", "STORIES", "SampleAlert", "sample_alerts"}
