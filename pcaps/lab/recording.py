"""One case being recorded: its network, its servers, its programs, and the truth they tell."""

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from . import capfile, names, servers
from .net import CLIENTS, Net

HOME = {client: f"10.20.0.{number}" for client, number in CLIENTS.items()}
HOME6 = {client: f"fd20:1567:1::{number}" for client, number in CLIENTS.items()}


class Recording:
    def __init__(self, work, certs, **topology):
        work.mkdir(parents=True)
        self.net = Net(work, **topology)
        self.work, self.programs, self.flows = work, [], []
        self.port, self.ask_web = "mid1" if topology.get("wire") else "out", True
        try:
            servers.start_web(self.net, certs)
        except BaseException:
            self.close()
            raise
        time.sleep(0.3)

    # The tap

    def tap(self, port=None, *filters):
        """Records while the body runs. `filters` go to tcpdump."""
        return self.recorder("tcpdump", "-i", port or self.port, "-U", "--immediate-mode", "-B", "65536", "-s", "0",
                             "-Z", "root", *filters)

    def dumpcap(self, *ports):
        return self.recorder("dumpcap", "-q", *[word for port in ports for word in ("-i", port)])

    @contextmanager
    def recorder(self, *argv):
        path = self.work / "raw.pcap"
        dump = self.net.spawn("tap", *argv, "-w", path)
        while not path.exists() or path.stat().st_size < 24:
            time.sleep(0.05)
        yield
        time.sleep(0.6)
        self.net.stop(dump, signal.SIGINT)

    # Programs of the clients

    def file(self, size, name="secret.bin"):
        path = self.work / name
        path.write_bytes(os.urandom(size))
        return path

    def environment(self):
        ca = str(self.work / "ca.crt")
        return os.environ | {"CURL_CA_BUNDLE": ca, "SSL_CERT_FILE": ca, "GIT_SSL_CAINFO": ca,
                             "REQUESTS_CA_BUNDLE": ca, "HOME": str(self.work), "GIT_CONFIG_NOSYSTEM": "1"}

    def curl_args(self, *argv):
        return ["curl", "-sS", "--cacert", str(self.work / "ca.crt"), "-o", "/dev/null",
                "-w", "%{json}\n", *map(str, argv)]

    def curl(self, client, *argv):
        told = self.net.run(client, *self.curl_args(*argv), stdout=subprocess.PIPE).stdout
        self.note_curl(told)

    def spawn_curl(self, client, *argv):
        return self.net.spawn(client, *self.curl_args(*argv), stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)

    def finish_curl(self, process):
        self.note_curl(process.communicate(timeout=120)[0])

    def note_curl(self, told):
        for line in told.splitlines():
            facts = json.loads(line)
            assert facts["http_code"] in (200, 201, 204), line
            self.note("curl", url=facts["url"], local_port=facts["local_port"], http=facts["http_version"],
                      upload_bytes=facts["size_upload"], download_bytes=facts["size_download"])

    def note(self, program, **facts):
        self.programs.append({"program": program, **facts})

    def program(self, client, *argv, **more):
        return self.net.run(client, *argv, env=self.environment(), **more)

    def tcp_told(self, client):
        """What the client's kernel says of its open connections (ss)."""
        told = self.net.run(client, "ss", "-Htinp", "state", "established", stdout=subprocess.PIPE).stdout
        words = dict(w.split(":", 1) for w in told.split() if w.startswith("bytes_"))
        return {key: int(value) for key, value in words.items()}

    # The truth

    def web_flows(self):
        """What nginx logged, summed over the requests of each connection."""
        flows, log = {}, self.work / "access.log"
        for line in log.read_text().splitlines() if log.exists() else []:
            r = json.loads(line)
            name = r["name"] if r["name"] in names.SERVICES else names.name_of(r["server"])
            flow = flows.setdefault((r["client"], r["client_port"], r["server"]), {
                "name": name, "service": names.service(name), "client": r["client"],
                "client_port": r["client_port"], "server": r["server"], "port": r["port"], "proto": "tcp",
                "sni": r["sni"] or None, "tls": r["tls"] or None, "http": r["http"],
                "requests": 0, "upload_bytes": 0, "download_bytes": 0, "told_by": "nginx"})
            flow["requests"] += 1
            flow["upload_bytes"] += r["up"]
            flow["download_bytes"] += r["down"]
        return list(flows.values())

    def flow(self, name, client, port, up, down, told_by, **more):
        """A flow that nginx cannot tell of."""
        self.flows.append({"name": name, "service": name and names.service(name), "client": client,
                           "server": more.pop("server", None) or names.address(name), "port": port, "proto": "tcp",
                           "upload_bytes": up, "download_bytes": down, "told_by": told_by, **more})

    def truth(self, alerts):
        return {"flows": (self.web_flows() if self.ask_web else []) + self.flows, "programs": self.programs,
                "alerts": [{"service": service, "host": host} for service, host in alerts]}

    def save(self, folder, alerts, text, file):
        """Writes traffic, truth and README of the case."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("traffic*"):
            old.unlink()
        if file.endswith(".pcapng"):
            (folder / file).write_bytes(capfile.without_machine((self.work / "raw.pcap").read_bytes()))
        else:
            packets = list(capfile.cut(capfile.read(self.work / "raw.pcap")))
            half = len(packets) // 2 if "{}" in file else len(packets)
            for number, part in enumerate((packets[:half], packets[half:])):
                if part:
                    capfile.write(folder / file.format(number), part)
        (folder / "truth.json").write_text(json.dumps(self.truth(alerts), indent=1) + "\n")
        (folder / "README.md").write_text(text)
        return sum(path.stat().st_size for path in folder.glob("traffic*"))

    def close(self):
        self.net.close()
