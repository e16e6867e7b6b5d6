"""To be written."""

from collections.abc import Iterable, Mapping


def find_source_groups(metadata: Mapping[str, Mapping]) -> dict[str, str]:
    """Return for each video its source group: itself, its original and all made from that.

    Chains of originals count. Further faces of a video belong to its source group.
    """
    relatives = {
        name: [str(entry[key]) for key in ("original", "video") if entry.get(key)]
        for name, entry in metadata.items()
    }
    return connected_groups(relatives)


def connected_groups(shared: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return a group for each name: those that share something, directly or over others, have the
    same. It is called after the first of all that is in it, in alphabetical order.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for name, others in shared.items():
        for other in others:
            one, two = sorted((root(name), root(other)))
            parent[two] = one
    return {name: root(name) for name in shared}
