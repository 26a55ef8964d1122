#!/usr/bin/env python3
"""Records real programs at work and writes what six endpoint products would have logged: record.py [RUNS]

Needs root and Linux, with strace, tcpdump, curl, wget, git, openssl, tar and rclone. Three hosts and a server stand in
network namespaces, and nothing leaves them. Which process opened which connection, when and from which port is read off
strace, which knows nothing of Egret. Written beside this file: traffic.pcap.gz (heads of packets at the server),
truth.jsonl, and one log a format. `tests/attribution_recorded.rs` holds Egret against them.
"""

import base64
import contextlib
import gzip
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOSTS = {"pc1": "10.77.0.11", "pc2": "10.77.0.12", "pc3": "10.77.0.13"}
SERVERS = [f"203.0.113.{n}" for n in range(1, 9)]
TOOLS = ["ip", "strace", "tcpdump", "curl", "wget", "git", "openssl", "tar", "rclone"]
CALLS = "execve,clone,clone3,fork,vfork,connect,getsockname,getpeername,getsockopt,sendto,recvfrom,read,write,close"
SERVER = """
import http.server, socketserver, ssl, sys, threading
class Any(http.server.BaseHTTPRequestHandler):
    def answer(self):
        left = int(self.headers.get('Content-Length') or 0)
        while left > 0:
            left -= len(self.rfile.read(min(left, 65536))) or left
        if self.headers.get('Transfer-Encoding') == 'chunked':
            while int(self.rfile.readline() or b'0', 16):
                pass
        body = b'' if self.command == 'HEAD' else b'ok\\n' * 100
        self.send_response(404 if '.git' in self.path else 200)
        self.send_header('Content-Length', '300')
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_PUT = do_POST = do_HEAD = answer
    def log_message(self, *_):
        pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128
    def handle_error(self, *_):
        pass
for port in (80, 443, 8080):
    server = Server(('0.0.0.0', port), Any)
    if port == 443:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever).start()
print('ready', flush=True)
"""


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], check=True, text=True, **more)


def inside(space, *argv):
    return ["ip", "netns", "exec", f"egj-{space}", *map(str, argv)]


def remove_spaces():
    """Also what an earlier run may have left. Only our own names."""
    for space in [*HOSTS, "srv"]:
        subprocess.run(["ip", "netns", "del", f"egj-{space}"], stderr=subprocess.DEVNULL, check=False)


def make_spaces():
    remove_spaces()
    run("ip", "netns", "add", "egj-srv")
    run(*inside("srv", "ip", "link", "add", "br0", "type", "bridge"))
    for address in ["10.77.0.1/24", *(f"{s}/32" for s in SERVERS)]:
        run(*inside("srv", "ip", "addr", "add", address, "dev", "br0"))
    run(*inside("srv", "ip", "link", "set", "br0", "up"))
    for host, address in HOSTS.items():
        run("ip", "netns", "add", f"egj-{host}")
        run("ip", "link", "add", f"v-{host}", "netns", "egj-srv", "type", "veth", "peer", "name", "eth0", "netns",
            f"egj-{host}")
        run(*inside("srv", "ip", "link", "set", f"v-{host}", "master", "br0", "up"))
        for argv in (("addr", "add", f"{address}/24", "dev", "eth0"), ("link", "set", "eth0", "up"),
                     ("link", "set", "lo", "up"), ("route", "add", "default", "via", "10.77.0.1")):
            run(*inside(host, "ip", *argv))


def commands(dice, data):
    """One program, at random, with what it sends and where."""
    far, size = dice.choice(SERVERS), dice.choice([2, 20, 80])
    file = data / f"{size}k.bin"
    python = f"import urllib.request as u;u.urlopen(u.Request('http://{far}:8080/p',open('{file}','rb').read(),method='PUT')).read()"
    return dice.choice([
        ["curl", "-sk", "-T", file, f"https://{far}/up/"],
        ["curl", "-s", "--data-binary", f"@{file}", f"http://{far}/post"],
        ["wget", "-qO/dev/null", "--post-file", file, f"http://{far}/post"],
        [os.path.realpath(sys.executable), "-c", python],
        ["git", "ls-remote", f"http://{far}/x.git"],
        ["openssl", "s_client", "-connect", f"{far}:443"],
        ["sh", "-c", f"tar cz -C {data} {file.name} | curl -sk -T - https://{far}/a.tgz"],
        ["rclone", "--config", "/dev/null", "cat", f":http,url='http://{far}:8080/':f.txt"],
    ])


def work(host, seed, runs, data, traces):
    dice = random.Random(seed)
    for n in range(runs):
        trace = traces / f"{host}-{seed}-{n}"
        argv = ["strace", "-f", "-yy", "-ttt", "-s", "300", "-e", f"trace={CALLS}", "-o", trace, *commands(dice, data)]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(inside(host, *argv), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, timeout=30, check=False)
        time.sleep(dice.random() * 0.4)


LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)")
CONNECT = re.compile(r"connect\((\d+)<\w+:\[.*?\]>, \{sa_family=AF_INET, sin_port=htons\((\d+)\), sin_addr=inet_addr\(\"([\d.]+)\"\)")
ENDS = re.compile(r"(\d+)<TCP:\[([\d.]+):(\d+)->([\d.]+):(\d+)\]>")
EXEC = re.compile(r'execve\("([^"]+)", \[(.*?)\],? .*= 0')


def read_trace(path, host):
    """Processes and connections of one run, as the system calls tell them."""
    group, parent, images, open_, facts = {}, {}, {}, {}, []
    lines = [LINE.match(line) for line in path.read_text(errors="replace").splitlines()]
    halves = {}
    for match in filter(None, lines):
        pid, at, call = int(match[1]), float(match[2]), match[3]
        if call.endswith("<unfinished ...>"):
            halves[pid] = (at, call.removesuffix("<unfinished ...>").rstrip())
            if not call.startswith("connect"):
                continue
        elif call.startswith("<... "):
            at, begun = halves.pop(pid, (at, ""))
            call = begun + call.split("resumed>", 1)[-1]
        process = group.setdefault(pid, pid)
        if started := re.match(r"(?:clone3?|v?fork)\(.* = (\d+)", call):
            child = int(started[1])
            group[child] = process if "CLONE_THREAD" in call else child
            if group[child] == child:
                parent[child] = process
                images.setdefault(child, images.get(process))
        elif ran := EXEC.match(call):
            args = json.loads("[" + ran[2].split("...")[0].rstrip(", ") + "]") if "\\" not in ran[2] else [ran[1]]
            images[process] = (os.path.realpath(ran[1]), args, at)
            facts.append({"fact": "start", "host": host, "at": at, "pid": process, "ppid": parent.get(process, 1),
                          "image": images[process][0], "args": args})
        elif asked := CONNECT.match(call):
            if asked[3].startswith("203.0.113.") and (process, asked[1]) not in open_:
                open_[process, asked[1]] = (at, asked[3], int(asked[2]))
        for fd, near, port, far, far_port in ENDS.findall(call):
            begun = open_.pop((process, fd), None)
            if begun and (begun[1], begun[2]) == (far, int(far_port)):
                image = images.get(process) or ("?", [], begun[0])
                facts.append({"fact": "connect", "host": host, "at": begun[0], "pid": process,
                              "ppid": parent.get(process, 1), "image": image[0], "args": image[1], "start": image[2],
                              "local": near, "local_port": int(port), "remote": far, "remote_port": int(far_port)})
    return facts


def stamp(at, digits=3, between="T", end="Z"):
    text = datetime.fromtimestamp(at, timezone.utc).strftime(f"%Y-%m-%d{between}%H:%M:%S.%f")
    return text[:len(text) - 6 + digits] + end


def native(fact):
    return hashlib.md5(f"{fact['host']}{fact['pid']}{fact.get('start', fact['at']):.6f}".encode()).hexdigest()


def sysmon(fact):
    guid = re.sub(r"(.{8})(.{4})(.{4})(.{4})(.{12})", r"{\1-\2-\3-\4-\5}", native(fact))
    record = {"SourceName": "Microsoft-Windows-Sysmon", "Hostname": fact["host"] + ".corp.example",
              "@timestamp": stamp(fact["at"] + 0.8), "UtcTime": stamp(fact["at"], 3, " ", ""), "ProcessGuid": guid,
              "ProcessId": str(fact["pid"]), "Image": fact["image"], "User": "CORP\\ann"}
    if fact["fact"] == "start":
        return [record | {"EventID": 1, "CommandLine": " ".join(fact["args"]), "ParentProcessId": str(fact["ppid"])}]
    return [record | {"EventID": 3, "Protocol": "tcp", "Initiated": "true", "SourceIp": fact["local"],
                      "SourcePort": str(fact["local_port"]), "DestinationIp": fact["remote"],
                      "DestinationPort": str(fact["remote_port"]), "DestinationHostname": "-"}]


def defender(fact):
    start = stamp(fact.get("start", fact["at"]), 6)
    common = {"Timestamp": stamp(fact["at"], 6), "DeviceId": f"id-{fact['host']}", "DeviceName": fact["host"]}
    if fact["fact"] == "start":
        table, more = "DeviceProcessEvents", {"ActionType": "ProcessCreated", "ProcessId": fact["pid"],
                                              "ProcessCreationTime": start, "FolderPath": fact["image"],
                                              "FileName": os.path.basename(fact["image"]),
                                              "ProcessCommandLine": " ".join(fact["args"])}
    else:
        table, more = "DeviceNetworkEvents", {
            "ActionType": "ConnectionSuccess", "RemoteIP": fact["remote"], "RemotePort": fact["remote_port"],
            "LocalIP": fact["local"], "LocalPort": fact["local_port"], "Protocol": "Tcp",
            "InitiatingProcessId": fact["pid"], "InitiatingProcessCreationTime": start,
            "InitiatingProcessFolderPath": fact["image"],
            "InitiatingProcessFileName": os.path.basename(fact["image"]),
            "InitiatingProcessCommandLine": " ".join(fact["args"]), "InitiatingProcessAccountName": "ann"}
    return [{"category": f"AdvancedHunting-{table}", "time": stamp(fact["at"] + 300), "properties": common | more}]


def ecs(fact):
    record = {"@timestamp": stamp(fact["at"]), "host": {"id": f"id-{fact['host']}", "name": fact["host"]},
              "user": {"name": "ann"},
              "process": {"entity_id": native(fact), "pid": fact["pid"], "executable": fact["image"],
                          "name": os.path.basename(fact["image"]), "command_line": " ".join(fact["args"])}}
    if fact["fact"] == "start":
        return [record | {"event": {"kind": "event", "category": ["process"], "type": ["start"], "action": "exec"}}]
    return [record | {"event": {"kind": "event", "category": ["network"], "type": ["start"],
                                "action": "connection_attempted"},
                      "network": {"transport": "tcp", "direction": "egress"},
                      "source": {"ip": fact["local"], "port": fact["local_port"]},
                      "destination": {"ip": fact["remote"], "port": fact["remote_port"]}}]


SERIAL = iter(range(1, 1 << 30))


def auditd(fact):
    head = f"audit({fact['at']:.3f}:{next(SERIAL)}):"
    call, done = (59, "success=yes exit=0") if fact["fact"] == "start" else (42, "success=no exit=-115")
    name = os.path.basename(fact["image"])
    lines = [f"type=SYSCALL msg={head} arch=c000003e syscall={call} {done} ppid={fact['ppid']} pid={fact['pid']} "
             f"auid=1000 uid=1000 ses=1 comm=\"{name[:15]}\" exe=\"{fact['image']}\" key=(null)"]
    if fact["fact"] == "start":
        words = " ".join(f"a{n}={arg.encode().hex().upper()}" for n, arg in enumerate(fact["args"]))
        lines.append(f"type=EXECVE msg={head} argc={len(fact['args'])} {words}")
    else:
        ip = "".join(f"{int(n):02X}" for n in fact["remote"].split("."))
        lines.append(f"type=SOCKADDR msg={head} saddr=0200{fact['remote_port']:04X}{ip}0000000000000000")
    return [f"node={fact['host']} {line}" for line in [*lines, f"type=EOE msg={head} "]]


def osquery(fact):
    columns = {"pid": str(fact["pid"]), "path": fact["image"], "auid": "1000", "time": str(int(fact["at"]))}
    record = {"hostIdentifier": fact["host"], "unixTime": int(fact["at"]) + 7, "action": "added"}
    if fact["fact"] == "start":
        columns |= {"cmdline": " ".join(fact["args"]), "parent": str(fact["ppid"])}
        return [record | {"name": "process_events", "columns": columns}]
    columns |= {"action": "connect", "remote_address": fact["remote"], "remote_port": str(fact["remote_port"]),
                "local_address": "", "local_port": "0", "status": "in_progress"}
    return [record | {"name": "socket_events", "columns": columns}]


def tetragon(fact):
    process = {"exec_id": base64.b64encode(native(fact)[:16].encode()).decode(), "pid": fact["pid"], "uid": 1000,
               "binary": fact["image"], "arguments": " ".join(fact["args"][1:]),
               "start_time": stamp(fact.get("start", fact["at"]), 6)}
    record = {"node_name": fact["host"], "time": stamp(fact["at"], 6)}
    if fact["fact"] == "start":
        return [{"process_exec": {"process": process}} | record]
    ends = {"family": "AF_INET", "type": "SOCK_STREAM", "protocol": "IPPROTO_TCP", "saddr": fact["local"],
            "sport": fact["local_port"], "daddr": fact["remote"], "dport": fact["remote_port"]}
    return [{"process_kprobe": {"process": process, "function_name": "tcp_connect", "args": [{"sock_arg": ends}]}} | record]


FORMATS = {"sysmon.jsonl": sysmon, "defender.jsonl": defender, "ecs.ndjson": ecs, "auditd.log": auditd,
           "osquery.jsonl": osquery, "tetragon.jsonl": tetragon}


def write(name, records):
    lines = (r if isinstance(r, str) else json.dumps(r, separators=(",", ":")) for r in records)
    (HERE / name).write_text("".join(f"{line}\n" for line in lines))


def tidied(facts):
    """In the order of time; folders of this run are called what they are to a reader."""
    for fact in facts:
        fact["args"] = [re.sub(r"/tmp/egret-pairs-\w+", "/home/ann", arg) for arg in fact["args"]]
    return sorted(facts, key=lambda f: f["at"])


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    if lacking := [tool for tool in TOOLS if not shutil.which(tool)] + (["root"] if os.geteuid() else []):
        sys.exit("record.py needs: " + ", ".join(lacking))
    with tempfile.TemporaryDirectory(prefix="egret-pairs-") as folder:
        folder = Path(folder)
        traces = folder / "traces"
        traces.mkdir()
        for size in (2, 20, 80):
            (folder / f"{size}k.bin").write_bytes(random.Random(size).randbytes(size * 1000))
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x", "-keyout",
            folder / "key", "-out", folder / "cert", stderr=subprocess.DEVNULL)
        children = []
        try:
            make_spaces()
            server = subprocess.Popen(inside("srv", sys.executable, "-c", SERVER, folder / "cert", folder / "key"),
                                      stdout=subprocess.PIPE, text=True)
            children.append(server)
            server.stdout.readline()
            dump = subprocess.Popen(inside("srv", "tcpdump", "-ni", "br0", "-s", "96", "-w", folder / "pcap", "-U", "tcp"),
                                    stderr=subprocess.PIPE, text=True)
            children.append(dump)
            dump.stderr.readline()
            threads = [threading.Thread(target=work, args=(host, seed, runs, folder, traces))
                       for host in HOSTS for seed in (len(host) + int(host[-1]) * 7, int(host[-1]) * 31)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            time.sleep(1)
        finally:
            [child.terminate() for child in children]
            [child.wait() for child in children]
            remove_spaces()
        facts = [fact for trace in traces.iterdir() for fact in read_trace(trace, trace.name.split("-")[0])]
        facts = tidied(facts)
        with open(folder / "pcap", "rb") as pcap, gzip.GzipFile(HERE / "traffic.pcap.gz", "wb", mtime=0) as out:
            out.write(pcap.read())
        write("truth.jsonl", facts)
        for name, form in FORMATS.items():
            write(name, (record for fact in facts for record in form(fact)))
        connects = [fact for fact in facts if fact["fact"] == "connect"]
        print(f"{len(connects)} connections, {len(facts) - len(connects)} processes")


if __name__ == "__main__":
    main()
