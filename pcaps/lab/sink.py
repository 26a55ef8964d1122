"""The web application behind every name (ASGI): takes any upload, gives /bytes/N, a page with
?upload=N that uploads N bytes from a browser, and git over HTTP for repositories in GIT_ROOT.
What it received stands in SINK_LOG."""

import json
import os
import subprocess

PAGE = """<!doctype html><title>Egret's laboratory</title><p id=told>working<script>
const part = crypto.getRandomValues(new Uint8Array(65536)), size = SIZE;
const body = new Blob(Array(Math.ceil(size / 65536)).fill(part)).slice(0, size);
fetch("/files/upload", {method: "POST", body}).then(r => r.text())
  .then(told => document.getElementById("told").textContent = told)
  .catch(fault => document.getElementById("told").textContent = "fault: " + fault);
</script>"""
PIECE = os.urandom(65536)


async def body(receive):
    parts, more = [], True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            break
        parts.append(event.get("body", b""))
        more = event.get("more_body", False)
    return b"".join(parts)


def git(scope, sent):
    """git's own server as a CGI program: status, headers, text."""
    headers = {k.decode().upper().replace("-", "_"): v.decode() for k, v in scope["headers"]}
    env = os.environ | {f"HTTP_{k}": v for k, v in headers.items()} | {
        "GIT_PROJECT_ROOT": os.environ["GIT_ROOT"], "GIT_HTTP_EXPORT_ALL": "1", "REMOTE_USER": "dev",
        "REMOTE_ADDR": scope["client"][0], "PATH_INFO": scope["path"], "REQUEST_METHOD": scope["method"],
        "QUERY_STRING": scope["query_string"].decode(), "CONTENT_TYPE": headers.get("CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(sent))}
    head, _, text = subprocess.run(["git", "http-backend"], input=sent, env=env,
                                   stdout=subprocess.PIPE).stdout.partition(b"\r\n\r\n")
    told = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n"))
    return int(told.pop(b"status", b"200").split()[0]), list(told.items()), text


async def answer(send, status, headers, text):
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def log(scope, up, down):
    headers = dict(scope["headers"])
    name = headers.get(b"host", b"").decode() or scope.get("server", [""])[0]
    record = {"name": name, "client": scope["client"][0], "client_port": scope["client"][1],
              "http": scope["http_version"], "path": scope["path"], "up": up, "down": down}
    with open(os.environ["SINK_LOG"], "a") as out:
        out.write(json.dumps(record) + "\n")


async def give(send, size):
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % size)]})
    for left in range(size, 0, -len(PIECE)):
        await send({"type": "http.response.body", "body": PIECE[:left], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    sent, path, query = await body(receive), scope["path"], scope["query_string"].decode()
    down = 0
    if ".git/" in path:
        await answer(send, *git(scope, sent))
    elif path.startswith("/bytes/"):
        down = int(path.split("/")[2])
        await give(send, down)
    elif query.startswith("upload="):
        text = PAGE.replace("SIZE", str(int(query[7:]))).encode()
        await answer(send, 200, [(b"content-type", b"text/html")], text)
    else:
        await answer(send, 200, [(b"content-type", b"text/plain")], b"received %d\n" % len(sent))
    log(scope, len(sent), down)
