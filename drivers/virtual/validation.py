"""What a device checks at commit: lines that read well one by one and do not go together."""

from collections import Counter

from drivers.virtual.tree import Tree


def complaints(tree: Tree) -> list[str]:
    """Why this configuration cannot run; empty when it can."""
    return [*_shared(tree, "address"), *_shared(tree, "member"), *_neighbours(tree), *_servers(tree)]


def _blocks(tree: Tree, word: str) -> list[tuple[str, Tree]]:
    return [(line, below) for line, below in tree.items() if line.split(" ", 1)[0] == word]


def _shared(tree: Tree, word: str) -> list[str]:
    lines = Counter(line for _, block in _blocks(tree, "interface") for line, _ in _blocks(block, word))
    return [f"'{line}' stands on {count} interfaces" for line, count in lines.items() if count > 1]


def _neighbours(tree: Tree) -> list[str]:
    router = tree.get("router", {})
    return [
        f"'{line}' has no remote-asn"
        for line, block in _blocks(router, "neighbor")
        if not _blocks(block, "remote-asn")
    ]


def _servers(tree: Tree) -> list[str]:
    servers = _blocks(tree.get("radius", {}), "server")
    return [f"radius '{line}' has no secret" for line, block in servers if not _blocks(block, "secret")]
