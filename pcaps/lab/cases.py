"""The first cases: each a function that drives real programs while the tap records.

`@case` holds what the README of the case says: `holds`, `says` (what Egret must say), the programs
and the (service, host) pairs that must be alerts. Sizes are well above or below the thresholds:
3 MB (storage, code), 1 MB (webhooks), 20 kB (paste sites), per host, service and 24 h.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from . import servers
from .recording import HOME, HOME6

MB = 1_000_000
CASES = []


@dataclass
class Case:
    name: str
    make: object
    holds: str
    says: str
    programs: tuple
    alerts: tuple = ()
    topology: dict = None
    file: str = "traffic.pcap.gz"


def case(name, holds, says, programs=("curl", "nginx"), alerts=(), file="traffic.pcap.gz", **topology):
    def add(function):
        CASES.append(Case(name, function, holds, says, programs, alerts, topology, file))
        return function
    return add


def put(r, client, name, size, *more, path="/files/secret.zip", scheme="https"):
    r.curl(client, *more, "-T", r.file(size), f"{scheme}://{name}{path}")


def get(r, client, name, size, *more, path=None):
    r.curl(client, *more, f"https://{name}{path or f'/bytes/{size}'}")


# The demo


@case("demo", "A working morning: 10.20.0.11 resolves names, reads www.wikipedia.org, downloads 5 MB from "
      "deb.debian.org, then uploads 10 MB to content.dropboxapi.com (HTTP/2). 10.20.0.12 downloads 5 MB from "
      "drive.usercontent.google.com, sends a 1 kB notification to hooks.slack.com, and pastes 60 kB to pastebin.com.",
      "Two alerts: 10.20.0.11 sent about 10 MB to dropbox, 10.20.0.12 sent about 60 kB to pastebin. "
      "Nothing about the downloads, the notification or Wikipedia.",
      ("curl", "nginx", "dnsmasq"), (("dropbox", HOME["c1"]), ("pastebin", HOME["c2"])), dns=True)
def demo(r):
    r.net.wait_for("gw", 53, udp=True)
    with r.tap():
        for page in ("wiki/Egret", "wiki/Heron", "static/site.css"):
            get(r, "c1", "www.wikipedia.org", 0, path=f"/{page}")
        get(r, "c2", "drive.usercontent.google.com", 5 * MB, "--limit-rate", "8M")
        get(r, "c1", "deb.debian.org", 5 * MB, "--limit-rate", "8M")
        r.curl("c2", "--json", '{"text": "' + "build is green " * 60 + '"}', "https://hooks.slack.com/services/T1/B1/x")
        put(r, "c1", "content.dropboxapi.com", 10 * MB, "--limit-rate", "5M", path="/2/files/upload")
        r.curl("c2", "-F", f"api_paste_code=<{hex_file(r, 30_000)}", "https://pastebin.com/api/api_post.php")


def hex_file(r, size):
    """Text of twice the size, as one pastes it."""
    path = r.file(size, "paste.bin")
    path.write_text(path.read_bytes().hex())
    return path


# TLS and HTTP versions


@case("tls12-upload", "5 MB PUT to upload.box.com over TLS 1.2, HTTP/1.1.",
      "One alert: 10.20.0.11 sent about 5 MB to box. TLS version 1.2, name from the hello.",
      alerts=(("box", HOME["c1"]),))
def tls12_upload(r):
    with r.tap():
        put(r, "c1", "upload.box.com", 5 * MB, "--tls-max", "1.2", "--http1.1")


@case("tls13-upload", "5 MB PUT to mybucket.s3.eu-west-1.amazonaws.com over TLS 1.3, HTTP/1.1.",
      "One alert: 10.20.0.11 sent about 5 MB to aws_s3, tenant `mybucket`.",
      alerts=(("aws_s3", HOME["c1"]),))
def tls13_upload(r):
    with r.tap():
        put(r, "c1", "mybucket.s3.eu-west-1.amazonaws.com", 5 * MB, "--tlsv1.3", "--http1.1")


@case("http2-upload", "One HTTP/2 connection to upload.box.com: a GET, a 5 MB POST as a form, a GET.",
      "One alert: 10.20.0.12 sent about 5 MB to box; one flow, ALPN h2.", alerts=(("box", HOME["c2"]),))
def http2_upload(r):
    page = "https://upload.box.com/"
    with r.tap():
        r.curl("c2", "--http2", page, "--next", *r.curl_args("-F", f"file=@{r.file(5 * MB)}", page)[1:],
               "--next", *r.curl_args(page)[1:])


# Programs


@case("git-push", "git clones a repository of 1 MB from github.com, commits 5 MB and pushes it over HTTPS.",
      "One alert: 10.20.0.11 sent about 5 MB to github (T1567.001). The clone is no alert.",
      ("git", "nginx"), (("github", HOME["c1"]),))
def git_push(r):
    bare, clone = r.work / "repos/acme/plans.git", r.work / "plans"
    git = ["git", "-c", "user.name=dev", "-c", "user.email=dev@example.com", "-C"]
    for argv in (["git", "init", "-q", "--bare", "-b", "main", bare], ["git", "init", "-q", "-b", "main", clone]):
        subprocess.run(argv, check=True)
    subprocess.run(["git", "-C", bare, "config", "http.receivepack", "true"], check=True)
    commit(git, clone, "old.bin", MB)
    subprocess.run([*git, clone, "push", "-q", bare, "main"], check=True)
    with r.tap():
        r.program("c1", "git", "clone", "-q", "https://github.com/acme/plans.git", r.work / "copy")
        commit(git, r.work / "copy", "new.bin", 5 * MB)
        r.program("c1", *git, r.work / "copy", "push", "-q", "origin", "main")
    r.note("git", pushed_blob_bytes=5 * MB)


def commit(git, folder, name, size):
    (folder / name).write_bytes(os.urandom(size))
    subprocess.run([*git, folder, "add", "."], check=True)
    subprocess.run([*git, folder, "commit", "-qm", name], check=True)


@case("webhook", "Python requests posts 2 MB of JSON to hooks.slack.com, in ten requests on one connection.",
      "One alert: 10.20.0.11 sent about 2 MB to slack (T1567.004).", ("requests", "nginx"),
      (("slack", HOME["c1"]),))
def webhook(r):
    code = ("import requests\ns = requests.Session()\nfor n in range(10):\n"
            " s.post('https://hooks.slack.com/services/T1/B1/x', json={'text': 'a1' * 100_000}).raise_for_status()")
    with r.tap():
        r.program("c1", sys.executable, "-c", code)
    r.note("requests", posts=10, text_bytes=200_000)


@case("small-paste", "curl posts a text of 60 kB to pastebin.com, as the Atomic test of T1567.003 does.",
      "One alert: 10.20.0.11 sent about 60 kB to pastebin (T1567.003).", alerts=(("pastebin", HOME["c1"]),),
      file="traffic.pcap")
def small_paste(r):
    with r.tap():
        r.curl("c1", "-F", f"api_paste_code=<{hex_file(r, 30_000)}", "https://pastebin.com/api/api_post.php")


@case("rclone-webdav", "rclone copies 10 files of 500 kB to app.koofr.net by WebDAV, each on a connection of its own.",
      "One alert: 10.20.0.11 sent about 5 MB to koofr, summed over ten flows, none of which crosses the threshold alone.",
      ("rclone", "nginx"), (("koofr", HOME["c1"]),))
def rclone_webdav(r):
    servers.start_webdav(r.net)
    folder = r.work / "files"
    folder.mkdir()
    for n in range(10):
        r.file(500_000, f"files/report-{n}.bin")
    with r.tap():
        r.program("c1", "rclone", "copy", folder, ":webdav:Koofr", "--webdav-url", "https://app.koofr.net/dav/",
                  "--webdav-vendor", "other", "--disable-http2", "--config", "/dev/null")
    r.note("rclone", files=10, file_bytes=500_000)


# Browser


@case("browser-hello", "Headless Chromium opens a page of upload.box.com whose script uploads 5 MB. Its hello is "
      "of browser size (post-quantum key share, GREASE, ECH GREASE) and takes two segments.",
      "One alert: 10.20.0.11 sent about 5 MB to box, name from a hello over two segments.",
      ("chromium", "nginx"), (("box", HOME["c1"]),))
def browser_hello(r):
    with r.tap():
        chromium(r, "upload.box.com", 5 * MB)


def chromium(r, name, size, *options):
    """Until the sink has the upload."""
    browser = r.net.spawn("c1", "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                          f"--user-data-dir={r.work}/profile", "--disable-background-networking", "--disable-sync",
                          "--disable-component-update", "--ignore-certificate-errors", *options,
                          f"https://{name}/page?upload={size}", env=r.environment())
    log = r.work / "sink.log"
    for _ in range(300):
        time.sleep(0.1)
        if log.exists() and "/files/upload" in log.read_text():
            break
    else:
        raise RuntimeError("Chromium did not upload")
    time.sleep(0.5)
    r.net.stop(browser)
    r.note("chromium", upload_bytes=size)


# No alert


@case("big-download", "6 MB download from content.dropboxapi.com.",
      "No alert: bytes came in, about 6 MB. The flow is named and classified as dropbox.")
def big_download(r):
    with r.tap():
        get(r, "c1", "content.dropboxapi.com", 6 * MB)


@case("download-beside-upload", "10.20.0.11 downloads 6 MB from upload.box.com and at the same time uploads 5 MB to it, "
      "on two connections.", "One alert: 10.20.0.11 sent about 5 MB to box, though more came in than went out.",
      alerts=(("box", HOME["c1"]),))
def download_beside_upload(r):
    with r.tap():
        down = r.spawn_curl("c1", "--limit-rate", "4M", f"https://upload.box.com/bytes/{6 * MB}")
        put(r, "c1", "upload.box.com", 5 * MB, "--limit-rate", "3M")
        r.finish_curl(down)


@case("plain-unwatched", "5 MB upload to deb.debian.org, a name that no signature watches.",
      "No alert by the service analytics; the flow has its name and no service.")
def plain_unwatched(r):
    with r.tap():
        put(r, "c1", "deb.debian.org", 5 * MB)


# What the sensor sees


@case("upload-never-closes", "An upload to content.dropboxapi.com, still open when the capture ends.",
      "One alert for dropbox while the flow is open; its record says that it never closed.",
      ("curl", "ss"), (("dropbox", HOME["c1"]),))
def upload_never_closes(r):
    with r.tap():
        curl = r.spawn_curl("c1", "--limit-rate", "1500k", "-T", r.file(40 * MB), "https://content.dropboxapi.com/2/files/upload")
        time.sleep(4)
        told = pause(r, curl)
    r.flow("content.dropboxapi.com", HOME["c1"], 443, told["bytes_acked"] - 1, told["bytes_received"], "ss", open=True)
    r.net.stop(curl, signal.SIGKILL)
    r.ask_web = False


def pause(r, process):
    """Stops a client and says what its kernel has sent and received by then."""
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    return r.tcp_told("c1")


@case("midstream", "The last part of a 6 MB upload to upload.box.com: the capture begins in the middle of the flow.",
      "No alert from this capture alone, since nothing in it says a name: one flow, marked midstream, "
      "with the bytes that were seen.", ("curl", "ss", "nginx"))
def midstream(r):
    curl = r.spawn_curl("c1", "--limit-rate", "2M", "-T", r.file(6 * MB), "https://upload.box.com/files/secret.zip")
    time.sleep(1.5)
    before = pause(r, curl)
    with r.tap():
        curl.send_signal(signal.SIGCONT)
        r.finish_curl(curl)
    flow = r.web_flows()[0]
    r.ask_web = False
    r.flow("upload.box.com", flow["client"], 443, flow["upload_bytes"] - before["bytes_acked"], 0, "nginx and ss",
           midstream=True)


@case("one-way", "5 MB PUT to upload.box.com; the tap sees only what leaves, as with asymmetric routing.",
      "One alert: 10.20.0.11 sent about 5 MB to box; the flow is marked one-way.", alerts=(("box", HOME["c1"]),))
def one_way(r):
    with r.tap(None, "-Q", "out"):
        put(r, "c1", "upload.box.com", 5 * MB)
    r.flows = [flow | {"download_bytes": 0, "one_way": True} for flow in r.web_flows()]
    r.ask_web = False


@case("loss-retransmit", "5 MB PUT to upload.box.com through a bad line: 1.5 % loss, 1 % reordering and 3 ms delay on either "
      "side of the tap (lab/wire.py, which stands in for netem).",
      "One alert: 10.20.0.11 sent about 5 MB to box; bytes sent twice are counted once and told as retransmitted.",
      alerts=(("box", HOME["c1"]),), wire=["--loss", "0.015", "--reorder", "0.01", "--delay-ms", "3"])
def loss_retransmit(r):
    with r.tap():
        put(r, "c1", "upload.box.com", 5 * MB)


@case("vlan", "5 MB PUT to upload.box.com, seen on a trunk: every frame carries the 802.1Q tag 42.",
      "One alert: 10.20.0.11 sent about 5 MB to box, `vlan` [42].", alerts=(("box", HOME["c1"]),), wire=["--tag", "42"])
def vlan(r):
    with r.tap():
        put(r, "c1", "upload.box.com", 5 * MB)


@case("vxlan", "5 MB PUT to upload.box.com, seen inside VXLAN (network 42, between 172.16.0.1 and 172.16.0.2).",
      "One alert: 10.20.0.11 sent about 5 MB to box; flows are of the inner addresses.",
      alerts=(("box", HOME["c1"]),), vxlan=True)
def vxlan(r):
    with r.tap():
        put(r, "c1", "upload.box.com", 5 * MB)


@case("ipv6", "5 MB PUT to upload.box.com over IPv6, from a unique local address.",
      "One alert: fd20:1567:1::11 sent about 5 MB to box.", alerts=(("box", HOME6["c1"]),), ipv6=True)
def ipv6(r):
    with r.tap():
        put(r, "c1", "upload.box.com", 5 * MB)
