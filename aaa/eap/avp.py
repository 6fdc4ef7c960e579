"""Attribute-value pairs inside TTLS (RFC 5281 section 10): Diameter's form. Pure."""


def read(clear: bytes) -> dict[tuple[int, int], bytes] | None:
    """(vendor, code) -> value; what is repeated is joined, as EAP-Message is. None for what is damaged."""
    found: dict[tuple[int, int], bytes] = {}
    at = 0
    while at < len(clear):
        if at + 8 > len(clear):
            return None
        code, flags, length = (
            int.from_bytes(clear[at : at + 4]),
            clear[at + 4],
            int.from_bytes(clear[at + 5 : at + 8]),
        )
        head = 12 if flags & 0x80 else 8
        if length < head or at + length > len(clear):
            return None
        vendor = int.from_bytes(clear[at + 8 : at + 12]) if flags & 0x80 else 0
        found[vendor, code] = found.get((vendor, code), b"") + clear[at + head : at + length]
        at += length + -length % 4
    return found


def write(code: int, value: bytes, vendor: int = 0) -> bytes:
    """One pair with its padding; marked mandatory."""
    head = vendor.to_bytes(4) if vendor else b""
    length = 8 + len(head) + len(value)
    flags = 0xC0 if vendor else 0x40
    return code.to_bytes(4) + bytes((flags,)) + length.to_bytes(3) + head + value + bytes(-length % 4)
