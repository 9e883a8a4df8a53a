"""Which folders programs may be loaded from: code in them runs as the user does."""

import os


def refusal(folder: str | os.PathLike[str]) -> str:
    """Why what lies in a folder may be somebody else's; empty where it is the user's.

    Raises:
      OSError: there is no such folder.
    """
    found = os.stat(folder)
    if found.st_uid != os.getuid():
        return f"{os.fspath(folder)} belongs to another user"
    if found.st_mode & 0o002:
        return f"{os.fspath(folder)} can be written by everybody (chmod o-w mends it)"
    return ""
