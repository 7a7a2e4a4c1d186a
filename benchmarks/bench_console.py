"""The console's API in a real Jupyter Server: ``python benchmarks/bench_console.py``.

One server process and its clients, on this machine; SQLite.
"""

import http.client
import io
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from figures import Figure, record, show
from sqlalchemy import func, select

from pytyche_engine.store import tables as t
from pytyche_engine.store.records import ExperimentDraft, VariantDraft
from pytyche_engine.store.registry import Registry
from pytyche_engine.store.rows import now

N_EXPERIMENTS = 10_000
N_REQUESTS, N_CLIENTS = 1500, 2
N_ROWS = 1_000_000
N_WRITES = 500
TWO = (VariantDraft("control", 0.5), VariantDraft("badge", 0.5))
ROOT = Path(__file__).parents[1]

WRITER = """
import sys
from pytyche_engine.store.deliveries import deliver_sums
from pytyche_engine.store.records import Sums
from pytyche_engine.store.registry import Registry
url, folder, one, who, n = sys.argv[1:]
registry = Registry(url, folder)
for i in range(int(n)):
    deliver_sums(registry, one, {"control": Sums(1, 1, 1, 1)}, who, key=f"{who}-{i}")
"""


@dataclass(frozen=True)
class Server:
    """A running server and a connection to it that is kept open."""

    port: int
    token: str
    data: Path
    pid: int

    def cpu_seconds(self) -> float:
        """Processor time that the server has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> Any:
        headers = {"Authorization": f"token {self.token}", "Content-Type": content_type}
        connection.request(method, f"/v1/admin{path}", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status < 300, text
        return json.loads(text)

    def running(self) -> str:
        """A running experiment's id."""
        connection = self.connect()
        variants = [{"name": v.name, "traffic_weight": v.weight} for v in TWO]
        body = json.dumps({"name": "bench", "variants": variants}).encode()
        made: str = self.send(connection, "POST", "/experiments", body)["id"]
        self.send(connection, "POST", f"/experiments/{made}/launch")
        return made


@contextmanager
def server() -> Iterator[Server]:
    home, token = Path(tempfile.mkdtemp(prefix="console")), secrets.token_hex(8)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = int(s.getsockname()[1])
    env = os.environ | {
        "JUPYTER_CONFIG_PATH": str(ROOT / "jupyter-config"),
        **{f"JUPYTER_{name}_DIR": str(home / name) for name in ("CONFIG", "DATA", "RUNTIME")},
    }
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", f"--IdentityProvider.token={token}"]
    command += [f"--ServerApp.root_dir={home}", "--Application.log_level=ERROR"]
    process = subprocess.Popen(command, env=env)
    found = Server(port, token, home / "DATA" / "pytyche_lab", process.pid)
    try:
        for _ in range(600):
            try:
                found.send(found.connect(), "GET", "/experiments")
                break
            except OSError:
                time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(20)


def listing(at: Server) -> list[Figure]:
    registry = Registry(f"sqlite:///{at.data / 'registry.sqlite3'}", at.data)
    template = registry.create(ExperimentDraft("template", variants=TWO), "bench")
    e, v = t.experiments, t.variants
    with registry.database.write() as connection:
        row = dict(connection.execute(select(e)).mappings().first() or {})
        rows = [
            row | {"id": secrets.token_hex(16), "name": f"number {i}", "created_at": now()}
            for i in range(N_EXPERIMENTS - 1)
        ]
        connection.execute(e.insert(), rows)
        of = [
            {"id": secrets.token_hex(16), "experiment_id": r["id"], "position": k, "note": ""}
            | {"name": one.name, "weight": one.weight}
            for r in rows
            for k, one in enumerate(template.variants)
        ]
        connection.execute(v.insert(), of)
    registry.close()
    connection = at.connect()
    figures = []
    for where, offset in (("first", 0), ("last", N_EXPERIMENTS - 50)):
        seconds = []
        for _ in range(30):
            start = time.perf_counter()
            page = at.send(connection, "GET", f"/experiments?limit=50&offset={offset}")
            seconds.append(time.perf_counter() - start)
        assert page["n_found"] == N_EXPERIMENTS
        assert len(page["experiments"]) == 50
        what = f"GET of the {where} page of 50 of {N_EXPERIMENTS:,} experiments, median of 30"
        figures.append(Figure(f"list-{where}-ms", what, 1000 * median(seconds), 100, "lower", "ms"))
    return figures


def ingest(at: Server) -> list[Figure]:
    one = at.running()
    counts = {name: {"exposures": 10, "conversions": 1} for name in ("control", "badge")}
    body = json.dumps({"counts": counts}).encode()

    def send_all() -> None:
        connection = at.connect()
        for _ in range(N_REQUESTS // N_CLIENTS):
            at.send(connection, "POST", f"/experiments/{one}/observations", body)

    at.send(at.connect(), "POST", f"/experiments/{one}/observations", body)
    threads = [threading.Thread(target=send_all) for _ in range(N_CLIENTS)]
    start, cpu = time.perf_counter(), at.cpu_seconds()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = N_REQUESTS / (time.perf_counter() - start)
    cpu_ms = 1000 * (at.cpu_seconds() - cpu) / N_REQUESTS
    control = at.send(at.connect(), "GET", f"/experiments/{one}")["variants"][0]
    assert control["exposures"] == 10 * (N_REQUESTS + 1)
    what = f"deliveries of counts, {N_CLIENTS} clients, {N_REQUESTS:,} requests, none lost"
    return [
        Figure("ingest-per-second", what, rate, 200, "higher", "requests/s"),
        Figure(
            "ingest-cpu-ms", "processor time of the server for each", cpu_ms, None, "lower", "ms"
        ),
    ]


def upload(at: Server) -> list[Figure]:
    one = at.running()
    rng = np.random.default_rng(1)
    buffer = io.BytesIO()
    pd.DataFrame(
        {
            "variant": rng.choice(["control", "badge"], N_ROWS),
            "value": (rng.random(N_ROWS) < 0.1).astype(float),
            "pre_value": rng.exponential(1.0, N_ROWS),
            "visitor_id": np.arange(N_ROWS).astype(str),
        }
    ).to_parquet(buffer, index=False)
    connection = at.connect()
    start = time.perf_counter()
    path = f"/experiments/{one}/observations"
    kind = "application/vnd.apache.parquet"
    receipt = at.send(connection, "POST", path, buffer.getvalue(), kind)
    seconds = time.perf_counter() - start
    assert receipt["exposures"] == N_ROWS
    size = len(buffer.getvalue()) / 1e6
    what = f"{N_ROWS:,} rows with ids and pre-period values uploaded as Parquet ({size:.0f} MB)"
    return [Figure("upload-seconds", what, seconds, 5, "lower", "s")]


def two_writers() -> list[Figure]:
    home = Path(tempfile.mkdtemp(prefix="console"))
    url = f"sqlite:///{home / 'registry.sqlite3'}"
    registry = Registry(url, home)
    one = registry.launch(registry.create(ExperimentDraft("b", variants=TWO), "bench").id, "bench")
    start = time.perf_counter()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, url, str(home), one.id, who, str(N_WRITES)])
        for who in ("ann", "bob")
    ]
    failed = sum(process.wait() != 0 for process in writers)
    seconds = time.perf_counter() - start
    with registry.database.read() as connection:
        kept = connection.scalar(select(func.count(t.batches.c.id))) or 0
    seen = registry.get(one.id).variants[0].exposures
    what = f"2 processes x {N_WRITES} writes at once on SQLite: "
    lost = 2 * N_WRITES - min(kept, seen)
    return [
        Figure("writers-lost", f"{what}lost", lost, 0, "lower", "writes"),
        Figure("writers-failed", f"{what}processes that failed", failed, 0, "lower"),
        Figure("writers-seconds", f"{what}time, with starting Python", seconds, None, "lower", "s"),
    ]


if __name__ == "__main__":
    with server() as at:
        figures = [*listing(at), *ingest(at), *upload(at)]
    figures += two_writers()
    show(figures)
    record("console", figures)
