"""A Galera cluster of our own: three MariaDB servers that are one database."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import MariaDb, MissingProgram, free_port, wait_until

NODES = 3
# What copies the data to a node that joins refuses to do so for root.
USER = "mysql"
PROVIDERS = ("/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so")
# A node that is killed is missed after two seconds instead of five.
IMPATIENT = (
    "evs.keepalive_period=PT0.5S;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT6S;"
    "evs.inactive_check_period=PT0.5S"
)


class GaleraNode(MariaDb):
    """One of them; `peers` are the addresses of those to join, none for the first."""

    def __init__(self, folder: Path, peers: list[str]) -> None:
        super().__init__(folder)
        self._is_first = not peers
        self._user = USER if os.geteuid() == 0 else None
        port, receiver, transfer = free_port(), free_port(), free_port()
        self.address = f"127.0.0.1:{port}"
        self._options = (
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
            "--innodb-log-file-size=16M",
            "--wsrep-on=ON",
            f"--wsrep-provider={find_provider()}",
            f"--wsrep-cluster-address=gcomm://{','.join(peers)}",
            f"--wsrep-node-address={self.address}",
            "--wsrep-slave-threads=4",
            "--wsrep-sst-method=rsync",
            f"--wsrep-sst-receive-address=127.0.0.1:{transfer}",
            "--wsrep-provider-options=gcache.size=32M;"
            f"gmcast.listen_addr=tcp://{self.address};ist.recv_addr=127.0.0.1:{receiver};"
            f"{IMPATIENT}",
        )

    def install(self) -> None:
        if self._is_first:
            super().install()
        else:  # it gets all from the first
            (self._folder / "data").mkdir(parents=True)
        if self._user:
            for folder in (self._folder, self._folder / "data"):
                shutil.chown(folder, self._user)

    def start(self) -> None:
        super().start()
        assert self._process is not None
        log = self._folder / "server.log"
        wait_until(self._is_synced, "the Galera node", log, self._process)

    def _is_synced(self) -> bool:
        status = "SHOW STATUS LIKE 'wsrep_local_state_comment'"
        return "Synced" in self.execute(status)


def find_provider() -> str:
    """The library that makes a cluster of MariaDB servers. Raises MissingProgram."""
    for path in PROVIDERS:
        if Path(path).exists():
            return path
    raise MissingProgram("galera-4 is not installed: run `make test`, which installs it")


@contextmanager
def galera_cluster() -> Iterator[list[GaleraNode]]:
    """The nodes, all in one cluster."""
    # Not in pytest's folder, into which no other user can look.
    folder = Path(tempfile.mkdtemp(prefix="galera-"))
    nodes: list[GaleraNode] = []
    try:
        folder.chmod(0o755)
        for number in range(NODES):
            node = GaleraNode(folder / str(number), [node.address for node in nodes])
            nodes.append(node)
            node.install()
            node.start()
        yield nodes
    finally:
        for node in reversed(nodes):
            node.stop()
        shutil.rmtree(folder)
