"""@azure/msal-node with Microsoft's Graph client for JavaScript, unmodified: sign-in, lists, one, an update."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from installed import NODE_MODULES, ServerProcess, needs_npm_clients, run

from house import lines, native

CALLS = Path(__file__).with_name("msal_calls.js")


@needs_npm_clients
def test_a_program_over_msal_signs_in_lists_pages_gets_and_updates(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        server.start()
        with server.sensor() as sensor:
            assert sensor.post("/ingest/native", content=lines(native(n) for n in range(1, 6))).status_code == 200
        done: subprocess.CompletedProcess[str] = run(
            *("node", CALLS, server.url, server.who.tenant_guid, server.who.app_id, server.who.secret),
            NODE_PATH=str(NODE_MODULES),
            NODE_EXTRA_CA_CERTS=str(server.data_dir / "tls" / "ca.pem"),
        )
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout) == {
        "cached": True,
        "count": 5,
        "linked": True,
        "ids": [[str(number), 1] for number in range(1, 6)],
        "one": "Alert 1",
        "updated": ["inProgress", "truePositive", "malware", ["node"]],
        "selected": [{"id": "1", "status": "inProgress"}],
        "error": [404, "ResourceNotFound"],
        "refused": ["invalid_client", 7000215, True],
    }
