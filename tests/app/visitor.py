"""A visitor without a browser: what the page's own script sends, by plain HTTP."""

import json
import socket
import uuid
from urllib.parse import urlsplit

import httpx


class Visitor:
    def __init__(self, url):
        self.http = httpx.Client(base_url=url, timeout=60)
        self.config = self.http.get("/config").json()
        self.session = uuid.uuid4().hex

    def upload(self, path):
        with open(path, "rb") as file:
            answer = self.http.post("/gradio_api/upload", files={"files": ("recording.wav", file)})
        return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}

    def join(self, button, data):
        """Presses a button; what comes of it is told to `messages`."""
        place = next(part["id"] for part in self.config["components"] if part["props"].get("elem_id") == button)
        event = next(one for one in self.config["dependencies"] if [place, "click"] in map(list, one["targets"]))
        body = {"data": data, "fn_index": event["id"], "session_hash": self.session}
        return self.http.post("/gradio_api/queue/join", json=body)

    def messages(self):
        """What the page tells, up to the answer; closing this is leaving the page."""
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    message = json.loads(line[6:])
                    yield message
                    if message["msg"] == "process_completed":
                        return

    def ask(self, button, data):
        """What a button shows in the end."""
        assert self.join(button, data).status_code == 200
        *_, last = self.messages()
        assert last["success"], last
        return last["output"]["data"]


def begin_upload(url, promised, sent):
    """An open connection with part of an upload."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port))
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
    connection.sendall(
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        f"Content-Length: {promised}\r\n\r\n".encode()
    )
    connection.sendall(head + bytes(sent))
    return connection
