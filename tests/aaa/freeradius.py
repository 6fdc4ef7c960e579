"""FreeRADIUS as the end of somebody else's TTLS: it takes MS-CHAPv2 out of the tunnel and asks us by plain RADIUS."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support import eventually, need

CONF = """prefix = /usr
libdir = /usr/lib/freeradius
logdir = %(folder)s
raddbdir = %(folder)s
run_dir = %(folder)s
name = radiusd
log {
  destination = stdout
}
security {
  max_attributes = 200
  status_server = no
}
client tester {
  ipaddr = 127.0.0.1
  secret = testing123
}
proxy server {
}
home_server ours {
  type = auth
  ipaddr = 127.0.0.1
  src_ipaddr = 127.0.0.1
  port = %(port)d
  secret = testing123
  status_check = none
}
home_server_pool ours {
  home_server = ours
}
realm ours {
  auth_pool = ours
  nostrip
}
modules {
  eap {
    default_eap_type = ttls
    tls-config common {
      private_key_file = %(tls)s/server.key
      certificate_file = %(tls)s/server.pem
      ca_file = %(tls)s/ca.pem
      tls_min_version = "1.2"
      tls_max_version = "1.2"
    }
    ttls {
      tls = common
      virtual_server = inner
      copy_request_to_tunnel = no
      use_tunneled_reply = yes
    }
  }
}
server outer {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = %(own)d
  }
  authorize {
    eap
  }
  authenticate {
    eap
  }
  pre-proxy {
    update proxy-request {
      Message-Authenticator = 0x00
    }
  }
  post-proxy {
    eap
  }
}
server inner {
  authorize {
    update control {
      Proxy-To-Realm := "ours"
    }
  }
}
"""


@contextmanager
def proxy(folder: Path, tls: Path, port: int, own: int) -> Iterator[Path]:
    """FreeRADIUS on `own`, asking our server on `port`; gives its log."""
    folder.mkdir()
    (folder / "dictionary").write_text("")
    words = {"folder": folder, "tls": tls, "port": port, "own": own}
    (folder / "radiusd.conf").write_text(CONF % words)
    log = folder / "log"
    with log.open("w") as out:
        program = [need("freeradius", apt="freeradius"), "-X", "-d", str(folder)]
        running = subprocess.Popen(program, stdout=out, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: "Ready to process requests" in log.read_text(), cap=15, says=log.read_text)
        yield log
    finally:
        running.terminate()
        with suppress(subprocess.TimeoutExpired):
            running.wait(timeout=5)
        running.kill()
