"""Serve TLS with a certificate of this host; what was loaded stays loaded until SIGHUP."""

import signal
import socket
import ssl
import sys

FOLDER = f"/etc/stackwright/tls/{sys.argv[1]}"
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)


def load(*_):
    context.load_cert_chain(f"{FOLDER}/tls.crt", f"{FOLDER}/tls.key")


load()
signal.signal(signal.SIGHUP, load)
with socket.create_server(("0.0.0.0", int(sys.argv[2]))) as server:
    while True:
        connection, _ = server.accept()
        try:
            context.wrap_socket(connection, server_side=True).close()
        except OSError:
            connection.close()
