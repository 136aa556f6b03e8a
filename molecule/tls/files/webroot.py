"""The edge's part of HTTP-01: serve the challenge files, as any user may read them."""

import functools
import http.server
import os
import pathlib
import time

ROOT = pathlib.Path("/var/lib/stackwright/acme")
while not ROOT.exists():
    time.sleep(0.2)
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(ROOT))
server = http.server.ThreadingHTTPServer(("0.0.0.0", 80), handler)
os.setgid(65534)
os.setuid(65534)
server.serve_forever()
