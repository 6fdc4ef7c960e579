"""An access point of hostapd (driver wired) and a station of wpa_supplicant, in two namespaces of our own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cli.lab import namespaces
from tests.support import need, run

HOSTAPD = """interface=ap0
driver=wired
logger_stdout=-1
logger_stdout_level=0
ieee8021x=1
use_pae_group_addr=0
nas_identifier=ap1
own_ip_addr=127.0.0.1
auth_server_addr=127.0.0.1
auth_server_port=%(auth)d
auth_server_shared_secret=testing123
acct_server_addr=127.0.0.1
acct_server_port=%(acct)d
acct_server_shared_secret=testing123
radius_acct_interim_interval=600
radius_das_port=3799
radius_das_client=127.0.0.1 testing123
radius_das_require_event_timestamp=1
radius_das_require_message_authenticator=1
"""
STATION = """ctrl_interface=%s
ap_scan=0
network={
  key_mgmt=IEEE8021X
  eapol_flags=0
  %s
}
"""


class Radio:
    """The two ends of a veth. `ap` is the namespace of the AP, and of the server that it asks on its loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ap, self.station = namespaces.full_name("ap"), namespaces.full_name("sta")
        self._programs: list[subprocess.Popen] = []

    def make(self) -> None:
        """Both namespaces and the wire between them."""
        namespaces.create([self.ap, self.station])
        namespaces.batch([f"link add ap0 netns {self.ap} type veth peer name sta0 netns {self.station}"])
        namespaces.batch(["link set ap0 up"], self.ap)
        namespaces.batch(["link set sta0 up"], self.station)

    def serve(self, auth: int, acct: int) -> None:
        """Start hostapd; it says Accounting-On."""
        conf = self.folder / "hostapd.conf"
        conf.write_text(HOSTAPD % {"auth": auth, "acct": acct})
        self._start("hostapd", self.ap, need("hostapd", apt="hostapd"), "-dd", conf)

    def connect(self, network: str) -> None:
        """Start wpa_supplicant."""
        conf = self.folder / "station.conf"
        conf.write_text(STATION % (self.folder / "ctrl", network))
        program = need("wpa_supplicant", apt="wpasupplicant")
        self._start("station", self.station, program, "-Dwired", "-ista0", "-c", conf, "-dd")

    def cli(self, *words: str) -> str:
        """What wpa_cli says."""
        program = need("wpa_cli", apt="wpasupplicant")
        return run([program, "-p", self.folder / "ctrl", "-i", "sta0", *words]).stdout

    def log(self, name: str) -> str:
        """What a program said so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _start(self, name: str, namespace: str, *command: str | Path) -> None:
        with (self.folder / f"{name}.log").open("w") as log:
            args = ["ip", "netns", "exec", namespace, *map(str, command)]
            self._programs.append(subprocess.Popen(args, stdout=log, stderr=subprocess.STDOUT))

    def end(self) -> None:
        """Stop what was started here, the station first."""
        for program in reversed(self._programs):
            program.terminate()
            with suppress(subprocess.TimeoutExpired):
                program.wait(timeout=5)
            if program.poll() is None:
                program.kill()
        namespaces.remove([self.ap, self.station])


@contextmanager
def radio(folder: Path) -> Iterator[Radio]:
    """An access point's namespace and a station's, for a while."""
    made = Radio(folder)
    try:
        made.make()
        yield made
    finally:
        made.end()
