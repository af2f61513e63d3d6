# SPDX-License-Identifier: GPL-2.0-or-later
"""Made-up pages of `sockfair export`, for what is about their amount and their names and not about counting: dist.py, bench/fleet.py."""
import http.server
import socketserver
import sys
import threading
import time

BOUNDS = ["0.000104", "0.000512", "0.001024", "0.00512", "0.01024", "0.049152", "0.098304", "0.24576", "0.49152", "0.98304", "5.24288", "+Inf"]
VERDICTS = ["not-applicable", "uneven", "too-few", "flows-unknown", "even", "withheld"]

# name: (type, labels beside those of the port (each as it is, or one set for each), what it grows by in a second, or its value)
OF_PORT = {
    "sockfair_connections_total": ("counter", [""], 500),
    "sockfair_connections_arrived_total": ("counter", [""], 500),
    "sockfair_datagrams_delivered_total": ("counter", [""], 500),
    "sockfair_datagrams_received_total": ("counter", [""], 499),
    "sockfair_drops_total": ("counter", ['reason="no-room"', 'reason="kernel"', 'reason="closing"'], 1),
    "sockfair_bytes_total": ("counter", ['direction="received"', 'direction="sent"'], 70001),
    "sockfair_cpu_seconds_total": ("counter", [""], 0.71),
    "sockfair_queue_length": ("gauge", [""], 3),
    "sockfair_queue_limit": ("gauge", [""], 4096),
    "sockfair_half_open": ("gauge", [""], 1),
    "sockfair_open_connections": ("gauge", [""], 2000),
    "sockfair_workers": ("gauge", [""], 64),
    "sockfair_sockets": ("gauge", [""], 64),
    "sockfair_steered": ("gauge", [""], 0),
    "sockfair_window_events": ("gauge", [""], 30000),
    "sockfair_window_queue_highest": ("gauge", [""], 17),
    "sockfair_window_workers_idle": ("gauge", [""], 0),
    "sockfair_window_cv": ("gauge", [""], 0.4142),
    "sockfair_window_cv_expected": ("gauge", [""], 0.0458),
    "sockfair_window_p_value": ("gauge", [""], 0.0001),
}
# name: labels beside those of the port, of those that are even (as VERDICTS goes by), and of those that are not
OF_WINDOW = {
    "sockfair_window_finding": (['code="stalled-socket",level="problem"', 'code="shared-socket",level="note"'],
                                ['code="worker-stopped",level="problem"', 'code="shared-socket",level="note"']),
    "sockfair_window_design": (['design="hand-over"'], ['design="socket-each"']),
}
ONE_PROTOCOL = {"tcp": ("sockfair_datagrams",), "udp": ("sockfair_connections", "sockfair_half_open", "sockfair_open_connections", "sockfair_worker_connections",
                                                        "sockfair_worker_open")}
OF_WORKER = {
    "sockfair_worker_connections_total": ("counter", [""], 8),
    "sockfair_worker_datagrams_total": ("counter", [""], 8),
    "sockfair_worker_cpu_seconds_total": ("counter", [""], 0.0117),
    "sockfair_worker_bytes_total": ("counter", ['direction="received"', 'direction="sent"'], 1103),
    "sockfair_worker_open_connections": ("gauge", [""], 31),
    "sockfair_worker_stopped": ("gauge", [""], 0),
}
OF_MACHINE = {
    "sockfair_lost_total": ("counter", ['reason="workers_full"'], 1),
    "sockfair_own_cost_seconds_total": ("counter", ['part="kernel"', 'part="process"'], 0.003),
    "sockfair_window_seconds": ("gauge", [""], 60),
    "sockfair_build_info": ("gauge", ['version="0.1.0",backend="fentry",kernel="6.1.0-50-cloud-amd64"'], 1),
    "sockfair_series": ("gauge", [""], 10000),
    "sockfair_series_limit": ("gauge", [""], 20000),
    "sockfair_series_left_out": ("gauge", [""], 0),
    "sockfair_collect_duration_seconds": ("gauge", [""], 0.0123),
}


class Machine:
    """One host's page: so many ports with so many workers each. by: --workers of `sockfair export`."""

    def __init__(self, ports, workers, by="slot"):
        self.begun, self.made, self.lock = time.time(), (None, 0), threading.Lock()
        self.series = []  # (what stands before the value, type, rate or value); the type None: a line as it is
        places = [self.place(i) for i in range(ports)]
        for name, row in OF_MACHINE.items():
            self.family(name, row, [("", "")])
        for name, row in OF_PORT.items():
            self.family(name, row, places)
        self.waits([place for proto, place in places if proto == "tcp"])
        self.windows(places)
        self.verdicts(places)
        if by != "none":
            for name, row in OF_WORKER.items():
                self.family(name, row, [(proto, f'{place},{by}="{n}"') for proto, place in places for n in range(workers)])
            names = ("slot", "pid") if by == "slot" else ("pid", "process")
            self.family("sockfair_worker_info", ("gauge", [""], 1), [
                (proto, f'{place},{names[0]}="{n}",{names[1]}="{4000 + 100 * i + n}",tid="{4000 + 100 * i + n}",comm="nginx",unit="nginx.service"')
                for i, (proto, place) in enumerate(places) for n in range(workers)])

    @staticmethod
    def place(number):
        """Three of four ports are TCP's."""
        proto = "udp" if number % 4 == 3 else "tcp"
        return proto, f'netns="",proto="{proto}",address="0.0.0.0",port="{8000 + number}"'

    def family(self, name, row, places):
        kind, sets, amount = row
        self.series.append((f"# TYPE {name} {kind}", None, 0))
        for number, (proto, place) in enumerate(places):
            if name.startswith(ONE_PROTOCOL.get(proto, ())):
                continue
            for labels in sets:
                held = ",".join(filter(None, (place, labels)))
                # Not all alike: a worker's own rate, and one of 64 that gets nothing.
                self.series.append((f"{name}{{{held}}}" if held else name, kind, amount * (number % 64 / 32) if kind == "counter" and place else amount))

    def waits(self, places):
        self.series.append(("# TYPE sockfair_accept_wait_seconds histogram", None, 0))
        for place in places:
            for number, bound in enumerate(BOUNDS):
                self.series.append((f'sockfair_accept_wait_seconds_bucket{{{place},le="{bound}"}}', "counter", 500 * (number + 1) / len(BOUNDS)))
            self.series.append((f"sockfair_accept_wait_seconds_sum{{{place}}}", "counter", 17.3))
            self.series.append((f"sockfair_accept_wait_seconds_count{{{place}}}", "counter", 500))

    def windows(self, places):
        for name, sets in OF_WINDOW.items():
            self.series.append((f"# TYPE {name} gauge", None, 0))
            self.series += [(f"{name}{{{place},{labels}}}", "gauge", 1) for number, (_, place) in enumerate(places) for labels in sets[number % 2]]

    def verdicts(self, places):
        self.series.append(("# TYPE sockfair_window_verdict gauge", None, 0))
        for number, (_, place) in enumerate(places):
            for verdict in VERDICTS:
                self.series.append((f'sockfair_window_verdict{{{place},verdict="{verdict}"}}', "gauge", int(verdict == ("even", "uneven")[number % 2])))

    def page(self):
        """In the classic text format. The values move with the clock; who asks within a second gets the same, so that many hosts cost no more than one."""
        with self.lock:
            text, at = self.made
            if not text or time.monotonic() > at + 1:
                text, at = self.make(), time.monotonic()
                self.made = text, at
            return text

    def make(self):
        since = time.time() - self.begun
        lines = [before if kind is None else f"{before} {amount * since:.6g}" if kind == "counter" else f"{before} {amount:.6g}"
                 for before, kind, amount in self.series]
        ended = self.begun + since // 60 * 60
        lines += ["# TYPE sockfair_window_end_timestamp_seconds gauge", f"sockfair_window_end_timestamp_seconds {ended:.3f}",
                  "# TYPE sockfair_start_time_seconds gauge", f"sockfair_start_time_seconds {self.begun - 600:.3f}", ""]
        return "\n".join(lines)

    def count(self):
        return sum(kind is not None for _, kind, _ in self.series) + 2


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Serves /NUMBER of each machine on 127.0.0.1:port; /metrics is the first."""
    daemon_threads, request_queue_size = True, 128

    def __init__(self, port, machines):
        self.machines, self.bytes, self.pages, self.lock = machines, 0, 0, threading.Lock()
        super().__init__(("127.0.0.1", port), Page)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """A Prometheus that ends leaves in the middle of a page."""


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        page = self.server.machines[0 if self.path == "/metrics" else int(self.path[1:])].page().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
        with self.server.lock:
            self.server.bytes += len(page)
            self.server.pages += 1

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    sys.stdout.write(Machine(2, 4).page())
