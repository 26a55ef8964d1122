"""The cases of who is at home, of little, and of several files."""

from . import names, servers
from .cases import MB, case, put
from .more import BOX, tls_request
from .recording import HOME


@case("below-threshold", "1 MB PUT to upload.box.com.",
      "No alert: storage services alert from 3 MB in 24 h. The flow is named and classified as box.")
def below_threshold(r):
    with r.tap():
        put(r, "c1", BOX, MB)


@case("no-home", "198.51.100.11 puts 5 MB to upload.box.com: no address of the capture is in the default home network.",
      "No alert; the summary says that nothing touches the home network and how to set it. "
      "With `--home-net 198.51.100.0/24`: one alert, 198.51.100.11 sent about 5 MB to box.")
def no_home(r):
    r.net.ip("gw", "addr", "add", "198.51.100.1/24", "dev", "lan")
    r.net.ip("c1", "addr", "add", "198.51.100.11/24", "dev", "eth0")
    with r.tap(None, "tcp"):
        put(r, "c1", BOX, 5 * MB, "--interface", "198.51.100.11")


@case("east-west", "10.20.0.11 puts 4 MB to a web server on 10.20.0.12:8000 by address: both are at home.",
      "No alert: traffic between two home addresses without an outside name is none of ours.", ("curl", "hypercorn"))
def east_west(r):
    servers.start_sink(r.net, "10.20.0.12:8000", space="c2")
    r.net.wait_for("c2", 8000)
    with r.tap("p-c1"):
        r.curl("c1", "-T", r.file(4 * MB), "http://10.20.0.12:8000/files/secret.zip")
    r.flow(None, HOME["c1"], 8000, 4 * MB, 0, "curl", server=HOME["c2"])


@case("inbound-pull", "203.0.113.90 fetches 4 MB from a web server on 10.20.0.12:8000: the bytes leave, though the other side "
      "opened the connection.",
      "No alert by the service analytics (nothing names a service), and the flow's upload is the 4 MB of 10.20.0.12: "
      "`egret.host.ip` is 10.20.0.12 while `src_ip` is 203.0.113.90.", ("curl", "hypercorn"))
def inbound_pull(r):
    servers.start_sink(r.net, "10.20.0.12:8000", space="c2")
    r.net.wait_for("c2", 8000)
    outside = names.address("www.wikipedia.org")
    with r.tap():
        r.curl("srv", "--interface", outside, f"http://10.20.0.12:8000/bytes/{4 * MB}")
    r.flow(None, outside, 8000, 0, 4 * MB, "curl", server=HOME["c2"])


@case("rotated", "One 5 MB PUT to upload.box.com in two files, as a rotating recorder leaves it: the flow crosses the border.",
      "With the folder as argument: one flow and one alert, 10.20.0.11 sent about 5 MB to box.",
      alerts=(("box", HOME["c1"]),), file="traffic-{}.pcap.gz")
def rotated(r):
    with r.tap():
        put(r, "c1", BOX, 5 * MB)


@case("sni-against-dns", "openssl s_client resolves upload.box.com by DNS, connects to that address, and says www.wikipedia.org in "
      "its hello (fronting). It sends 5 MB.",
      "The name is www.wikipedia.org by SNI and the evidence `sni_address_mismatch` says that this client's DNS gave the "
      "address for upload.box.com. truth.json demands no alert, since no signature watches the name.",
      ("openssl", "dnsmasq", "nginx"), dns=True)
def sni_against_dns(r):
    r.net.wait_for("gw", 53, udp=True)
    with r.tap():
        tls_request(r, "-servername", "www.wikipedia.org")
