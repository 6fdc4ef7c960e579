"""Which files a Kea server has of us; nothing in them is secret."""

from drivers.file_set import FileRules

CONF = "/etc/kea/kea-dhcp4.conf"
RULES = FileRules(
    platform="kea",
    allowed=r"/etc/kea/kea-dhcp4\.conf",
    where=CONF,
    forbidden=("/etc/trunkline/",),
    mask=lambda _path, text: text,
)
