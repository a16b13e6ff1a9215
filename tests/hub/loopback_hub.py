"""A small hub on this machine: it speaks as much of the Hub's API as pushing and loading need, over real HTTP.

Repositories have commits and branches; files are kept by what they hold, large ones through the LFS protocol, so that
what has arrived once is not sent again. Users are told by their tokens: `writer` may write everywhere, `reader` nowhere.
"""

import base64
import hashlib
import json
import os
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

USERS = {"hf_writer": "writer", "hf_reader": "reader"}
_LARGE = (".safetensors", ".bin", ".png", ".parquet", ".onnx")
_LARGE_FROM = 10_000_000


@dataclass
class Repository:
    """Commits by their name, each a mapping from path to the hash of a file's content; branches by theirs."""

    kind: str
    name: str
    private: bool = False
    commits: dict[str, dict[str, str]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    titles: list[str] = field(default_factory=list)

    def commit(self, files: dict[str, str], title: str, branch: str = "main") -> str:
        digest = hashlib.sha1(f"{len(self.commits)} {title} {sorted(files.items())}".encode()).hexdigest()
        self.commits[digest] = files
        self.branches[branch] = digest
        self.titles.append(title)
        return digest

    def find(self, revision: str) -> str | None:
        """The commit that a branch or a (shortened) name of a commit means."""
        if revision in self.branches:
            return self.branches[revision]
        return next((name for name in self.commits if len(revision) >= 7 and name.startswith(revision)), None)


class LoopbackHub:
    """The server; `url` is for `HF_ENDPOINT`.

    Attributes:
        repositories: By kind and name, `("models", "me/emotions")`.
        blobs: Contents by SHA-256.
        uploads: Hashes that came in through LFS, in order.
        fail_uploads_after: The server hangs up on every LFS upload after so many; None for never.
        requests: `METHOD path` of everything that was asked.
    """

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.uploads: list[str] = []
        self.requests: list[str] = []
        self.fail_uploads_after: int | None = None
        self.lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self):
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def environment(self, token: str | None = "hf_writer") -> dict[str, str]:
        """Variables that make a process talk to this hub."""
        made = {
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        return {**made, **({"HF_TOKEN": token} if token else {})}

    def answer_here(self, monkeypatch: Any, token: str | None = "hf_writer", url: str | None = None) -> None:
        """Makes this process talk to this hub, or to another address; the variables were read when it began."""
        from huggingface_hub import constants, hf_api
        from transformers.utils.hub import hf_api as api_of_transformers

        monkeypatch.setattr(constants, "ENDPOINT", url or self.url)
        for api in (hf_api.api, api_of_transformers()):  # made once, for the hub of that time
            monkeypatch.setattr(api, "endpoint", url or self.url)
        template = (url or self.url) + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", os.devnull)
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        else:
            monkeypatch.delenv("HF_TOKEN", raising=False)

    def files(self, name: str, kind: str = "models", revision: str = "main") -> dict[str, bytes]:
        """What a repository holds."""
        repository = self.repositories[kind, name]
        commit = repository.commits[repository.find(revision)]
        return {path: self.blobs[digest] for path, digest in commit.items()}

    def keep(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        return digest


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def _route(self) -> None:
        parsed = urlparse(self.path)
        self.query = parse_qs(parsed.query)
        path = unquote(parsed.path)
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else b""
        with self.hub.lock:
            self.hub.requests.append(f"{self.command} {path}")
            for method, pattern, action in _ROUTES:
                found = re.fullmatch(pattern, path)
                if method == self.command and found:
                    return action(self, **found.groupdict())
            return self._error(404, "EntryNotFound", f"nothing at {path}")

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _route

    # replies

    def _reply(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _json(self, content: Any, status: int = 200) -> None:
        self._reply(status, json.dumps(content).encode())

    def _error(self, status: int, code: str, message: str) -> None:
        self._reply(
            status, json.dumps({"error": message}).encode(), {"X-Error-Code": code, "X-Error-Message": message}
        )

    # who and what

    @property
    def user(self) -> str | None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        return USERS.get(token)

    def _may_write(self) -> bool:
        if self.user is None:
            self._error(401, "", "Invalid username or password.")
        elif self.user != "writer":
            self._error(403, "", "Forbidden: you must use a write token to do this.")
        return self.user == "writer"

    def _repository(self, kind: str, name: str) -> Repository | None:
        found = self.hub.repositories.get((kind, name))
        if found is None or (found.private and self.user is None):
            self._error(404 if self.user else 401, "RepoNotFound", "Repository not found")
            return None
        return found

    def _commit_of(self, kind: str, name: str, revision: str) -> tuple[Repository, str] | None:
        repository = self._repository(kind, name)
        if repository is None:
            return None
        commit = repository.find(revision)
        if commit is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return repository, commit

    # the API

    def whoami(self) -> None:
        if self.user is None:
            return self._error(401, "", "Invalid username or password.")
        role = "write" if self.user == "writer" else "read"
        auth = {"type": "access_token", "accessToken": {"displayName": "test", "role": role}}
        return self._json({"type": "user", "name": self.user, "fullname": self.user, "orgs": [], "auth": auth})

    def create(self) -> None:
        if not self._may_write():
            return None
        given = json.loads(self.body)
        kind = f"{given.get('type') or 'model'}s"
        name = f"{given.get('organization') or self.user}/{given['name']}"
        url = f"{self.hub.url}/{'' if kind == 'models' else kind + '/'}{name}"
        if (kind, name) in self.hub.repositories:
            return self._json({"url": url, "name": name, "error": "You already created this repo"}, 409)
        repository = self.hub.repositories[kind, name] = Repository(
            kind, name, given.get("private") or given.get("visibility") == "private"
        )
        repository.commit({".gitattributes": self.hub.keep(b"*.safetensors filter=lfs\n")}, "initial commit")
        return self._json({"url": url, "name": name, "id": name})

    def validate_yaml(self) -> None:
        self._json({"errors": [], "warnings": []})

    def preupload(self, kind: str, name: str, revision: str) -> None:
        found = self._commit_of(kind, name, revision) if self._may_write() else None
        if found is None:
            return None
        repository, commit = found
        files = []
        for file in json.loads(self.body)["files"]:
            large = file["path"].endswith(_LARGE) or file["size"] >= _LARGE_FROM
            held = repository.commits[commit].get(file["path"])
            oid = None
            if held is not None:
                content = self.hub.blobs[held]
                oid = held if large else hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            mode = "lfs" if large else "regular"
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return self._json({"files": files})

    def lfs_batch(self, name: str, kind: str | None = None) -> None:
        if not self._may_write():
            return None
        objects = []
        for item in json.loads(self.body)["objects"]:
            href = f"{self.hub.url}/lfs/{item['oid']}"
            new = item["oid"] not in self.hub.blobs
            objects.append({**item, **({"actions": {"upload": {"href": href}}} if new else {})})
        return self._json({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid: str) -> None:
        limit = self.hub.fail_uploads_after
        if limit is not None and len(self.hub.uploads) >= limit:
            self.close_connection = True
            return self.connection.close()
        if hashlib.sha256(self.body).hexdigest() != oid:
            return self._error(400, "", "the content is not what its hash says")
        self.hub.uploads.append(self.hub.keep(self.body))
        return self._reply(200)

    def commit(self, kind: str, name: str, revision: str) -> None:
        found = self._commit_of(kind, name, revision) if self._may_write() else None
        if found is None:
            return None
        repository, before = found
        files = dict(repository.commits[before])
        title = ""
        for line in self.body.decode().splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                title = value["summary"]
            elif item["key"] == "file":
                files[value["path"]] = self.hub.keep(base64.b64decode(value["content"]))
            elif item["key"] == "lfsFile":
                if value["oid"] not in self.hub.blobs:
                    return self._error(400, "", f"{value['path']}: its content was never sent")
                files[value["path"]] = value["oid"]
            elif item["key"] == "deletedFile":
                files.pop(value["path"])
        digest = repository.commit(files, title, revision)
        url = f"{self.hub.url}/{name}/commit/{digest}"
        return self._json({"success": True, "commitUrl": url, "commitOid": digest})

    def branch(self, kind: str, name: str, revision: str) -> None:
        repository = self._repository(kind, name) if self._may_write() else None
        if repository is None:
            return None
        if revision in repository.branches:
            return self._error(409, "", "Reference already exists")
        repository.branches[revision] = repository.branches["main"]
        return self._json({})

    def info(self, kind: str, name: str, revision: str = "main") -> None:
        found = self._commit_of(kind, name, revision)
        if found is None:
            return None
        repository, commit = found
        siblings = [{"rfilename": path} for path in repository.commits[commit]]
        return self._json({"id": name, "sha": commit, "private": repository.private, "siblings": siblings, "tags": []})

    def tree(self, kind: str, name: str, revision: str, folder: str | None = None) -> None:
        found = self._commit_of(kind, name, revision)
        if found is None:
            return None
        repository, commit = found
        prefix = f"{folder.strip('/')}/" if folder and folder.strip("/") else ""
        recursive = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        entries: dict[str, dict[str, Any]] = {}
        for path, digest in repository.commits[commit].items():
            if not path.startswith(prefix):
                continue
            head, slash, _ = path.removeprefix(prefix).partition("/")
            if slash and not recursive:
                entries[prefix + head] = {"type": "directory", "path": prefix + head, "oid": commit, "size": 0}
                continue
            content = self.hub.blobs[digest]
            entry = {"type": "file", "path": path, "oid": digest[:40], "size": len(content)}
            if path.endswith(_LARGE):
                entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
            entries[path] = entry
        if prefix and not entries:
            return self._error(404, "EntryNotFound", f"{prefix} does not exist")
        return self._json(list(entries.values()))

    def resolve(self, name: str, revision: str, file: str, kind: str | None = None) -> None:
        found = self._commit_of((kind or "models/").strip("/"), name, revision)
        if found is None:
            return None
        repository, commit = found
        digest = repository.commits[commit].get(file)
        if digest is None:
            return self._error(404, "EntryNotFound", f"{file} does not exist")
        content = self.hub.blobs[digest]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
        headers["Content-Type"] = "application/octet-stream"
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not wanted:
            return self._reply(200, content, headers)
        first, last = int(wanted[1]), int(wanted[2] or len(content) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        return self._reply(206, content[first : last + 1], headers)


_KIND, _NAME, _REVISION = r"(?P<kind>models|datasets|spaces)", r"(?P<name>[^/]+/[^/]+)", r"(?P<revision>[^/]+)"
_ROUTES = [
    ("GET", r"/api/whoami-v2", _Handler.whoami),
    ("POST", r"/api/repos/create", _Handler.create),
    ("POST", r"/api/validate-yaml", _Handler.validate_yaml),
    ("POST", rf"/api/{_KIND}/{_NAME}/preupload/{_REVISION}", _Handler.preupload),
    ("POST", r"/(?P<kind>datasets/|spaces/)?(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", _Handler.lfs_put),
    ("POST", rf"/api/{_KIND}/{_NAME}/commit/{_REVISION}", _Handler.commit),
    ("POST", rf"/api/{_KIND}/{_NAME}/branch/{_REVISION}", _Handler.branch),
    ("GET", rf"/api/{_KIND}/{_NAME}", _Handler.info),
    ("GET", rf"/api/{_KIND}/{_NAME}/revision/{_REVISION}", _Handler.info),
    ("GET", rf"/api/{_KIND}/{_NAME}/tree/{_REVISION}(?P<folder>/.*)?", _Handler.tree),
    (
        "HEAD",
        rf"/(?P<kind>datasets/|spaces/)?(?P<name>[^/]+/[^/]+)/resolve/{_REVISION}/(?P<file>.+)",
        _Handler.resolve,
    ),
    ("GET", rf"/(?P<kind>datasets/|spaces/)?(?P<name>[^/]+/[^/]+)/resolve/{_REVISION}/(?P<file>.+)", _Handler.resolve),
]
