"""Runs in the cluster: one HTTP request, described as JSON on stdin, its answer as JSON on stdout."""

import base64
import gzip
import json
import sys
import urllib.error
import urllib.request


def main() -> None:
    asked = json.load(sys.stdin)
    body = None if asked["body"] is None else json.dumps(asked["body"]).encode()
    headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
    request = urllib.request.Request(asked["url"], data=body, headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    except OSError as error:
        json.dump({"error": str(error)}, sys.stdout)
        return
    with answer:
        content = answer.read()
        if answer.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        told = {"status": answer.status, "type": answer.headers.get("Content-Type", "")}
    json.dump({**told, "content": base64.b64encode(content).decode()}, sys.stdout)


if __name__ == "__main__":
    main()
