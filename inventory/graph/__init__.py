"""From the graph of a real backbone (GML or GraphML) to the intents of a network.

`read(path)` -> `RawGraph` -> `mend(raw)` -> `Graph` -> `plan_network(graph, options)` -> documents. Every node is kept;
whatever had to be mended is a warning with its place in the file.
"""
