"""Pictures of the asset graph and of the gateway's page, and what is on them."""

import shutil
import struct
from pathlib import Path

import pytest

from tests.e2e.conftest import Platform
from tests.e2e.screenshots import GATEWAY_WIDTH, PAGES, photograph, photograph_gateway, text_of

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(960),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium: as root, apt-get install chromium"),
]


def test_the_asset_graph_is_photographed_with_all_its_assets(platform: Platform, tmp_path: Path) -> None:
    page = PAGES["asset-graph"]
    picture = tmp_path / "new" / "graph.png"
    photograph(platform.settings.dagster_url + page.path, page.size, picture)
    data = picture.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == page.size
    assert 30_000 < len(data) < 500_000
    shown = text_of(platform.settings.dagster_url + page.path, page.size)
    for asset in ("raw_flights", "training_rows", "champion_model", "baseline_arm", "canary_verdict", "drift_report"):
        assert asset in shown, "the groups are expanded"


def test_the_gateways_page_is_photographed(platform: Platform, tmp_path: Path) -> None:
    picture = tmp_path / "gateway.png"
    photograph_gateway(platform.settings.gateway_url, picture, watched_s=2)
    data = picture.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    assert width == GATEWAY_WIDTH
    assert height >= 800
    assert 30_000 < len(data) < 1_000_000  # as long as the history
