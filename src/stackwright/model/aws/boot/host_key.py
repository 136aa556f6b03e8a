"""Publishes this host's public host key where the host itself, and no other, may write.

Who connects compares the key with the one of the instance that Pulumi's state names: nothing is trusted at first use.
"""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from . import calls

#: Seconds in which the network has to come up.
_PATIENCE_SECONDS = 1800


def publish(config: Mapping[str, str], metadata: calls.Metadata) -> None:
    """Write `{"instance_id": "i-...", "host_key": "ssh-ed25519 ..."}` into the host's parameter."""
    key = " ".join(Path(config["host_key_file"]).read_text(encoding="utf-8").split()[:2])
    value = json.dumps({"instance_id": metadata.instance_id(), "host_key": key})
    request = {"Name": config["parameter"], "Value": value, "Type": "String", "Overwrite": True}
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM.PutParameter"}
    calls.post("ssm", config["region"], config["domain"], metadata, headers, json.dumps(request).encode())


def main(path: str = "/etc/stackwright/host-key.json") -> int:
    """Try until it is done: a role that was made a moment ago is not known everywhere yet."""
    config = json.loads(Path(path).read_text(encoding="utf-8"))
    until = time.monotonic() + _PATIENCE_SECONDS
    for wait in calls.waits():
        try:
            publish(config, calls.Metadata())
        except (calls.UnreachableError, calls.RefusedError, OSError) as problem:
            print(f"the host key is not published: {problem}", flush=True)
            if time.monotonic() + wait > until:
                break
            time.sleep(wait)
        else:
            print(f"the host key is published in {config['parameter']}", flush=True)
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
