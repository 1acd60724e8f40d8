"""Runs anywhere with Python alone: streams over one connection, as proxies keep them.

    kept_connection.py URL STREAMS

Prints how many have been answered before the server closed it.
"""

import http.client
import json
import sys
import urllib.parse

QUESTION = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "stream": True})
JSON = {"Content-Type": "application/json"}


def answered(url: str, streams: int) -> int:
    address = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    connection.connect()
    connection.auto_open = 0  # or it would open another one by itself
    for number in range(streams):
        try:
            connection.request("POST", "/v1/chat/completions", QUESTION, JSON)
            answer = connection.getresponse()
            if answer.status != 200 or b"data: [DONE]" not in answer.read():
                return number
        except (OSError, http.client.HTTPException):
            return number
    return streams


if __name__ == "__main__":
    print(answered(sys.argv[1], int(sys.argv[2])))
