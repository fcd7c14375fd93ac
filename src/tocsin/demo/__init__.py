"""The demo's sample alerts: two weeks of an invented organisation as four sensors would have reported them.

Nothing here is taken from anywhere: people, names, files and plots are made up, and the network alerts were
recorded with the real Suricata on traffic made for the purpose (`scripts/record_network`).
"""

from __future__ import annotations

from tocsin.demo.story import SENSORS, STORIES, SampleAlert, sample_alerts

__all__ = ["SENSORS", "STORIES", "SampleAlert", "sample_alerts"]
