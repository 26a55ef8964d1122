"""The web services of the laboratory: name, Egret's service id, last number of its address."""

SERVICES = {
    "content.dropboxapi.com": ("dropbox", 10),
    "www.dropbox.com": ("dropbox", 11),
    "upload.box.com": ("box", 20),
    "mybucket.s3.eu-west-1.amazonaws.com": ("aws_s3", 30),
    "github.com": ("github", 40),
    "pastebin.com": ("pastebin", 50),
    "hooks.slack.com": ("slack", 60),
    "0x0.st": ("0x0", 70),
    "drive.google.com": ("google_drive", 80),
    "drive.usercontent.google.com": ("google_drive", 81),
    "app.koofr.net": ("koofr", 85),
    "www.wikipedia.org": (None, 90),
    "deb.debian.org": (None, 91),
}


def service(name):
    return SERVICES[name][0]


def address(name, version=4):
    number = SERVICES[name][1]
    return f"203.0.113.{number}" if version == 4 else f"2001:db8:113::{number}"


def name_of(ip):
    """The name behind a server address, for connections that say none themselves."""
    return next((n for n in SERVICES if ip in (address(n), address(n, 6))), None)
