"""A registry on loopback that wants a login and has no images.

It prints its port, and writes a line "ACCOUNT PATH" for each request to the file "requests".
"""
import base64
import http.server


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        login = self.headers.get("Authorization", "")
        account = ""
        if login.startswith("Basic "):
            account = base64.b64decode(login[6:]).decode().split(":")[0]
        account = account or "nobody"  # some clients send an empty user name and password
        with open("requests", "a") as log:
            print(account, self.path, file=log)
        self.send_response(401 if account == "nobody" else 200 if self.path == "/v2/" else 404)
        self.send_header("WWW-Authenticate", 'Basic realm="test"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("serving on port", server.server_port, flush=True)
server.serve_forever()
