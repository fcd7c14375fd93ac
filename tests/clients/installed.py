"""Where the public clients are installed (`make clients`), and running one of them against a server of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

sys.path.append(str(Path(__file__).parents[1] / "reliability"))

from running import ServerProcess

__all__ = [
    "BIN",
    "NODE_MODULES",
    "PYTHON",
    "ServerProcess",
    "cloud_names",
    "needs_npm_clients",
    "needs_python_clients",
    "run",
]

ROOT: Final = Path(__file__).parents[2]
BIN: Final = ROOT / ".venv-clients" / "bin"
PYTHON: Final = BIN / "python"
NODE_MODULES: Final = ROOT / ".clients" / "node_modules"
CLOUD: Final = Path(__file__).with_name("cloud.py")

needs_python_clients: Final = pytest.mark.skipif(
    not PYTHON.exists(), reason="the clients from PyPI are not installed; run `make clients`"
)
needs_npm_clients: Final = pytest.mark.skipif(
    not NODE_MODULES.exists(), reason="the clients from npm are not installed; run `make clients`"
)


def run(*command: object, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a client to its end, in `folder`. It sees none of this machine's settings for proxies and certificates."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
    return subprocess.run(
        [str(each) for each in command],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env=kept | environment,
    )


@contextmanager
def cloud_names(server: ServerProcess, folder: Path) -> Iterator[Mapping[str, str]]:
    """Bring the host names of `cloud.NAMES` to the server; gives what a client's environment needs for it."""
    command = [sys.executable, str(CLOUD), str(folder), str(server.port), str(server.data_dir / "tls" / "ca.pem")]
    proxy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert proxy.stdout is not None
    try:
        port = int(proxy.stdout.readline())
        yield {
            "HTTPS_PROXY": f"http://127.0.0.1:{port}",
            "REQUESTS_CA_BUNDLE": str(folder / "tls" / "ca.pem"),
        }
    finally:
        proxy.kill()
        proxy.wait()
        proxy.stdout.close()
