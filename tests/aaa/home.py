"""FreeRADIUS as somebody else's server: a home server or an old one, by UDP and by TLS, with a config of its own."""

import socket
import subprocess
from contextlib import suppress

from tests.migrated import kept_folder
from tests.support import eventually, free_port, need

_MAIN = """
prefix = /usr
logdir = %(folder)s
raddbdir = %(folder)s
run_dir = %(folder)s
libdir = /usr/lib/freeradius
pidfile = %(folder)s/pid
max_request_time = 10
cleanup_delay = 2
max_requests = 16384
hostname_lookups = no
log {
  destination = stdout
}
security {
  max_attributes = 200
  reject_delay = 0
  status_server = yes
}
proxy_requests = %(proxying)s
thread pool {
  start_servers = 2
  max_servers = 4
  min_spare_servers = 1
  max_spare_servers = 2
  max_requests_per_server = 0
}
client here {
  ipaddr = 127.0.0.0/8
  secret = %(secret)s
}
%(more)s
modules {
  pap {
  }
  chap {
  }
  mschap {
  }
  files {
    filename = %(folder)s/users
  }
  detail {
    filename = %(folder)s/detail
  }
  detail seen {
    filename = %(folder)s/seen
  }
%(modules)s
}
server default {
%(listen)s
  authorize {
    seen
%(authorize)s
    chap
    mschap
    files
    pap
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
    Auth-Type CHAP {
      chap
    }
    Auth-Type MS-CHAP {
      mschap
    }
%(authenticate)s
  }
  preacct {
%(preacct)s
  }
  accounting {
    %(accounting)s
  }
}
%(servers)s
"""
_LISTEN = """
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = %d
  }
  listen {
    type = acct
    ipaddr = 127.0.0.1
    port = %d
  }
"""


class FreeRadius:
    """A running server. `kill()` is a power cut; `start()` brings it back on the same ports."""

    def __init__(self, users: str, secret: str = "homesecret", **more: str) -> None:
        self._program = need("freeradius", apt="freeradius")
        # It makes no file below /dev, where tests' own folders may lie (tests/conftest.py).
        self.folder = folder = kept_folder("freeradius")
        self.auth_port, self.acct_port = (free_port(socket.SOCK_DGRAM) for _ in range(2))
        words = {
            "folder": folder,
            "secret": secret,
            "proxying": "no",
            "more": "",
            "modules": "",
            "authorize": "",
            "authenticate": "",
            "preacct": "",
            "servers": "",
            "accounting": "detail",
            "listen": _LISTEN % (self.auth_port, self.acct_port),
            **more,
        }
        (folder / "radiusd.conf").write_text(_MAIN % words)
        (folder / "users").write_text(users)
        (folder / "dictionary").write_text("$INCLUDE /usr/share/freeradius/dictionary\n")
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def address(self) -> str:
        """As an intent names it."""
        return f"127.0.0.1:{self.auth_port}/{self.acct_port}"

    def start(self) -> None:
        """Start, and wait until it listens."""
        log = (self.folder / "log").open("wb")
        command = [self._program, "-f", "-l", "stdout", "-d", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()
        eventually(lambda: "Ready to process requests" in self.log(), cap=20, says=self.log)

    def kill(self) -> None:
        """As the power goes."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def log(self) -> str:
        """What it printed."""
        return (self.folder / "log").read_text(errors="replace")

    def detail(self) -> str:
        """The accounting that it took."""
        return self._text("detail")

    def seen(self) -> str:
        """The logins that it was asked for."""
        return self._text("seen")

    def _text(self, name: str) -> str:
        with suppress(FileNotFoundError):
            return (self.folder / name).read_text(errors="replace")
        return ""
