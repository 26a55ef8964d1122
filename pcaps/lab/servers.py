"""The servers behind the names: certificates of our own CA, nginx in front, the sink behind."""

import os
import subprocess
import sys
from pathlib import Path

from . import names
from .net import run

FOLDER = Path(__file__).parent

NGINX = """
user root; worker_processes 1; pid {work}/nginx.pid; error_log {work}/nginx.log; daemon off;
events {{ worker_connections 256; }}
http {{
  log_format truth escape=json '{{"name":"$host","client":"$remote_addr","client_port":$remote_port,'
    '"server":"$server_addr","port":$server_port,"up":$request_length,"down":$bytes_sent,'
    '"http":"$server_protocol","tls":"$ssl_protocol","sni":"$ssl_server_name"}}';
  access_log {work}/access.log truth;
  client_max_body_size 0; client_body_temp_path {work}/body; proxy_temp_path {work}/proxy;
  fastcgi_temp_path {work}/fastcgi; uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
  proxy_http_version 1.1; proxy_request_buffering off; proxy_set_header Host $host;
  proxy_buffering off; ssl_protocols TLSv1.2 TLSv1.3;
  {servers}
}}
"""

SERVER = """
  server {{
    listen {v4}:80; listen {v4}:443 ssl http2; listen [{v6}]:443 ssl http2;
    server_name {name}; ssl_certificate {work}/{name}.crt; ssl_certificate_key {work}/{name}.key;
    location / {{ proxy_pass http://127.0.0.1:8080; }}
    location /dav/ {{ proxy_pass http://127.0.0.1:8081; }}
  }}
"""


def make_certificates(work):
    """A CA and one certificate a name, all ECDSA, in `work`. Kept for the whole run."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    quiet = {"stderr": subprocess.DEVNULL, "cwd": work}
    run("openssl", "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "3650",
        "-subj", "/O=Egret/CN=Egret recording CA", **quiet)
    for name in names.SERVICES:
        run("openssl", "req", *key, "-keyout", f"{name}.key", "-out", "one.csr",
            "-subj", f"/CN={name}", **quiet)
        Path(work, "one.ext").write_text(f"subjectAltName=DNS:{name}\nextendedKeyUsage=serverAuth\n")
        run("openssl", "x509", "-req", "-in", "one.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-days", "365", "-extfile", "one.ext", "-out", f"{name}.crt", **quiet)


def start_web(net, certs):
    """nginx and the sink. `certs` is where make_certificates wrote."""
    work = net.work
    for file in Path(certs).glob("*.*"):
        if not (work / file.name).exists():
            (work / file.name).symlink_to(file)
    servers = "".join(SERVER.format(name=n, v4=names.address(n), v6=names.address(n, 6), work=work) for n in names.SERVICES)
    (work / "nginx.conf").write_text(NGINX.format(work=work, servers=servers))
    start_sink(net, "127.0.0.1:8080")
    net.wait_for("srv", 8080)
    net.spawn("srv", "nginx", "-c", work / "nginx.conf")
    net.wait_for("srv", 443)


def start_sink(net, bind, *options, space="srv"):
    env = os.environ | {"SINK_LOG": str(net.work / "sink.log"), "GIT_ROOT": str(net.work / "repos"), "PYTHONPATH": str(FOLDER),
                        "PYTHONDONTWRITEBYTECODE": "1"}
    net.spawn(space, sys.executable, "-m", "hypercorn", "sink:app", "--bind", bind,
              "--keep-alive", "60", *options, env=env)


def start_webdav(net):
    (net.work / "dav").mkdir()
    net.spawn("srv", "rclone", "serve", "webdav", net.work / "dav", "--addr", "127.0.0.1:8081",
              "--baseurl", "dav", "--config", "/dev/null")
    net.wait_for("srv", 8081)


def start_quic(net, name):
    """The sink again, over HTTP/3, on the address of `name`."""
    start_sink(net, f"{names.address(name)}:8443", "--quic-bind", f"{names.address(name)}:443",
               "--certfile", net.work / f"{name}.crt", "--keyfile", net.work / f"{name}.key")
    net.wait_for("srv", 443, udp=True)
