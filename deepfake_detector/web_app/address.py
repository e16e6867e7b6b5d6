"""Where the page is, and who can reach it. Standard library only."""

import ipaddress
import os
import socket
import sys
import webbrowser

from deepfake_detector.console import UserError, say


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address; raises UserError where that is not possible."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()  # who comes before the server is there waits a moment
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot listen at --host {host}, --port {port}: {reason}; give another port, "
            "or 0 for a free one"
        ) from error
    return listening


def is_this_machine_only(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def say_address(host: str, port: int, no_browser: bool) -> None:
    """Print where the page is and who can reach it, and open it where there is a screen."""
    everywhere = host in {"0.0.0.0", "::"}
    address = f"http://{'127.0.0.1' if everywhere else host}:{port}"
    say(f"the page is at {address}; Ctrl-C ends it")
    if not is_this_machine_only(host):
        say(
            "note: everybody who reaches this machine over the network can use the page, without a "
            "password, and what they upload comes unencrypted",
            sys.stderr,
        )
    has_screen = os.name == "nt" or sys.platform == "darwin" or "DISPLAY" in os.environ
    if has_screen and sys.stdout.isatty() and not no_browser:
        webbrowser.open(address)
