"""A web server that always says the same: `site.py ADDRESS TEXT`. Stands for the Internet behind the lab's BNG."""

import socketserver
import sys
from http.server import BaseHTTPRequestHandler


class Site(BaseHTTPRequestHandler):
    """Answers every GET with the text."""

    timeout = 10

    def do_GET(self) -> None:
        """The text, whatever was asked for."""
        text = sys.argv[2].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


class Server(socketserver.ThreadingTCPServer):
    """Not HTTPServer: that one asks DNS for its own name before it listens."""

    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    Server((sys.argv[1], 80), Site).serve_forever()
