"""Videos: which there are, and what is known of each, by one rule each.

Input: folders of videos as people have them. Output: `metadata.Video` entries. Open `listing.py`
first, for how a folder becomes a list of videos; what else is here, in the order of its use:

    search.py      which files are videos, pictures or folders of frames
    layouts.py     what the names of folders say, by the words of vocabulary.py
    indexes.py     what index files say, read by text.py, about the videos that matching.py finds
    names.py       what file names say, and the names of the folders of faces
    content.py     which videos have the same content
    metadata.py    which videos are usable, and which belong together
"""
