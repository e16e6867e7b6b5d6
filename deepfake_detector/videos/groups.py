"""Groups of videos that belong together, because one was made from the other or they share people.

find_source_groups({"a.mp4": {"original": "b.mp4"}, "b.mp4": {}})
# {"a.mp4": "a.mp4", "b.mp4": "a.mp4"}
"""

from collections.abc import Iterable, Mapping


def find_source_groups(metadata: Mapping[str, Mapping]) -> dict[str, str]:
    """Return the source group of each video: itself, its original, and all that was made from that.

    Chains of originals count. Further faces of a video belong to its source group.
    """
    relatives = {
        name: [str(entry[key]) for key in ("original", "video") if entry.get(key)]
        for name, entry in metadata.items()
    }
    return connected_groups(relatives)


def connected_groups(shared: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return the group of each name: names that share something, directly or by others, have one.

    `shared` says what each name shares. A group is called after the first thing in it, by alphabet,
    names included. The method is union-find.
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
