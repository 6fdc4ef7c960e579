"""eapol_test: wpa_supplicant's own EAP client over RADIUS, which checks our keys against its own."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support import need

NETWORK = """network={
  key_mgmt=WPA-EAP
  %s
}
"""
_OUTER = 'identity="%s"\n  anonymous_identity="anonymous@example.net"\n  password="%s"\n  phase2="auth'
PEAP = "eap=PEAP\n  " + _OUTER + '=MSCHAPV2"\n  ca_cert="%s"'
TTLS = "eap=TTLS\n  " + _OUTER + '%s"\n  ca_cert="%s"'
TLS = 'eap=TLS\n  identity="%s"\n  ca_cert="%s"\n  private_key="%s"\n  private_key_passwd="secret"'


@dataclass
class Told:
    """What eapol_test said. `good`: accepted, and both sides have the same keys."""

    status: int
    text: str

    @property
    def good(self) -> bool:
        return self.status == 0 and self.text.rstrip().endswith("SUCCESS")


class Client:
    """An access point with a client behind it, for one server."""

    def __init__(self, folder: Path, port: int, secret: str = "testing123") -> None:
        self._folder, self._port, self._secret = folder, port, secret
        self._program = need("eapol_test", apt="eapoltest")

    def login(self, network: str, *options: str, more: str = "") -> Told:
        """One run; `options` are eapol_test's own, `more` stands in front of the network."""
        conf = self._folder / "eapol.conf"
        conf.write_text(more + NETWORK % network)
        done = subprocess.run(
            [self._program, "-c", conf, "-p", str(self._port), "-s", self._secret, "-t", "8", *options],
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )
        return Told(done.returncode, done.stdout + done.stderr)
