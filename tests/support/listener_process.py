"""A merchant's receiver of notifications, as a merchant would write one: the standard library and DOKU's signature page.

Nothing here comes from gerbang, and it must stay so: it checks gerbang's signatures from outside.

Run as `python -I listener_process.py`; commands and answers are JSON, one per line, on stdin and stdout. It ends when
stdin does, so it cannot outlive the test that started it.
"""

import base64
import hashlib
import hmac
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port, secrets):
        self.secrets = secrets  # client id → secret key
        self.received = []
        self.answers = []
        self.changed = threading.Condition()
        self.released = threading.Event()
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request, client_address):
        """A sender that hangs up is part of the tests, not of their output."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do(self):
        at = time.time()
        body = read_body(self)
        receiver = self.server
        names_and_values = [[name, value] for name, value in self.headers.items()]
        with receiver.changed:
            answer = receiver.answers.pop(0) if receiver.answers else {}
            status = answer.get("status", 200)
            receiver.received.append(
                {
                    "method": self.command,
                    "target": self.path,
                    "headers": names_and_values,
                    "body": base64.b64encode(body).decode(),
                    "at": at,
                    "signature": verdict(self.command, self.path, self.headers, body, receiver.secrets),
                    "answered": None if answer.get("hang") else status,
                }
            )
            receiver.changed.notify_all()
        if answer.get("delay_s"):
            receiver.released.wait(answer["delay_s"])
        if answer.get("hang"):
            receiver.released.wait()
            self.close_connection = True
            return
        reply = answer.get("body", "").encode()
        self.send_response(status)
        for name, value in answer.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply)

    do_POST = do_GET = do_PUT = do_PATCH = do_DELETE = do_HEAD = do

    def log_message(self, format, *args):
        pass


def read_body(request):
    if "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    body = b""
    while size := int(request.rfile.readline().split(b";")[0], 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    while request.rfile.readline().strip():
        pass
    return body


def verdict(method, target, headers, body, secrets):
    """ "valid", "wrong", "missing" (a header is), or "unknown client" (no secret key was given for it)."""
    sent = [headers.get(name) for name in ("Client-Id", "Request-Id", "Request-Timestamp", "Signature")]
    if None in sent:
        return "missing"
    client_id, request_id, timestamp, signature = sent
    if client_id not in secrets:
        return "unknown client"
    lines = [f"Client-Id:{client_id}", f"Request-Id:{request_id}", f"Request-Timestamp:{timestamp}", f"Request-Target:{target}"]
    if method in ("POST", "PUT", "PATCH"):
        lines.append("Digest:" + base64.b64encode(hashlib.sha256(body).digest()).decode())
    mac = hmac.new(secrets[client_id].encode(), "\n".join(lines).encode(), hashlib.sha256).digest()
    expected = "HMACSHA256=" + base64.b64encode(mac).decode()
    return "valid" if hmac.compare_digest(expected.encode(), signature.encode()) else "wrong"


def obey(receiver, command):
    if command["do"] == "script":
        with receiver.changed:
            receiver.answers = list(command["answers"])
    elif command["do"] == "wait_for":
        with receiver.changed:
            receiver.changed.wait_for(lambda: len(receiver.received) >= command["count"], command["timeout_s"])
    elif command["do"] == "release":
        receiver.released.set()
        receiver.released = threading.Event()
    elif command["do"] == "forget":
        with receiver.changed:
            receiver.received.clear()
    with receiver.changed:
        return {"received": list(receiver.received)}


def main():
    wanted = json.loads(sys.stdin.readline())
    receiver = Receiver(wanted["port"], wanted["secrets"])
    threading.Thread(target=receiver.serve_forever, args=(0.01,), daemon=True).start()
    say({"port": receiver.server_address[1]})
    for line in sys.stdin:
        say(obey(receiver, json.loads(line)))


def say(answer):
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
