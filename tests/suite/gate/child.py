"""A web process that records what it sees, by the machine's own clock."""

import http.server
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request

record = open(os.environ["RECORD"], "a", buffering=1)
writing = threading.Lock()
stopping = threading.Event()


def note(what, **more):
    with writing:
        record.write(json.dumps({"what": what, "at": time.monotonic(), **more}) + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        note("request", path=self.path)
        healthy = os.path.exists(os.environ["HEALTHY"])
        if self.path == "/slow":
            # In flight until the stop comes, and a moment longer.
            stopping.wait()
            time.sleep(0.2)
        self.send_response(200 if healthy or self.path != "/health" else 503)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_):
        pass


def watch():
    """What the gate's /ready says, again and again."""
    while True:
        asked = time.monotonic()
        try:
            status = urllib.request.urlopen(os.environ["READY"], timeout=5).status
        except urllib.error.HTTPError as error:
            status = error.code
        except OSError:
            status = 0
        note("ready", asked=asked, status=status)
        time.sleep(0.005)


note("start")
signals = {signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
server.daemon_threads = False
threading.Thread(target=server.serve_forever, daemon=True).start()
threading.Thread(target=watch, daemon=True).start()
while True:
    name = signal.Signals(signal.sigwait(signals)).name
    note("signal", name=name)
    if name == "SIGTERM" and "DEAF" not in os.environ:
        break
stopping.set()
server.shutdown()
server.server_close()
note("end")
