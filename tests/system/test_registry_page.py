#!/usr/bin/env python3
"""The registry's page as people and browsers read it.

test_registry_page.py BIN
"""

import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.parse

import browser
import costly_inputs
import registry_images as images
import registry_server as registry
from registry_page import BIN, PageCase, WORK

HERE = os.path.dirname(os.path.abspath(__file__))
BUDGET = 60 << 10  # bytes of a page with its style
LIMIT = 0.1  # seconds for a page


class Reading(PageCase):
    def test_browse_and_search(self):
        self.assertIn("Nobody has published", self.page("/").text)
        token = self.server.user("alice")
        image = self.pushed(size=1000)
        for number in range(31):
            self.assertEqual(self.client.attach(image.id, "alice", f"Tools-{number:02}", "1.0", "alice", token)[0], 200)
        first = self.page("/")
        self.assertIn("/image/alice/Tools-00", first.links())
        self.assertNotIn("/image/alice/Tools-30", first.links())
        following = first.links()[-1]
        self.assertEqual(following, "/?after=alice/Tools-29")
        self.assertIn("/image/alice/Tools-30", self.page(following).links())
        self.assertIn("/image/alice/Tools-07", self.page("/?q=TOOLS-07").links())
        self.assertIn("/?q=alice/&after=alice/Tools-29", self.page("/?q=alice/").links())
        for text in ("nothing", "%25", "_", "%22%3E%3Cscript%3E", "%C5%BC", "%FF"):
            self.assertIn("No image has such a name", self.page("/?q=" + text).text)
        for path in ("/?q=" + "a" * 258, "/?after=alice", "/?after=a/%3Cb%3E", "/image/alice", "/image/alice/Tools-00?skip=-1", "/image//"):
            self.page(path, 400)
        for path in ("/image/alice/other", "/image/alice/Tools-00:2", "/image/alice/Tools-00/nothing", "/image/alice/Tools-00/checks/x"):
            self.page(path, 404)

    def test_an_image(self):
        _, first, second = self.publish_two()
        newest = self.page("/image/alice/tools")
        self.assertIn(second.sha3, newest.text)
        for text in (f'vm.repo(image_tag="alice/tools:1.1", repository_url="{self.server.url}")', 'imageTag: "alice/tools:1.1"',
                     f"GOLEM_REGISTRY_URL={self.server.url}", f"REGISTRY_URL={self.server.url} gvmi pull alice/tools:1.1", "/usr/bin/python3", "8080",
                     "/golem/work", "MODEL", "/srv/app/model.bin", "Renders frames, one after another.", "guest",
                     "Basedocker.io/library/python:3.12-slim"):
            self.assertIn(text, newest.text)
        older = self.page("/image/alice/tools:1.0")
        self.assertIn(first.sha3, older.text)
        for outline in (newest, older):
            self.assertIn("/image/alice/tools:1.0", outline.links())
            self.assertIn("/image/alice/tools:1.1", outline.links())
        self.assertEqual(self.code("/v1/image/download?hash=" + first.sha3), 302)
        self.assertIn("VM", self.page("/image/alice/tools:1.0/checks").text)
        self.server.run("block", "add", first.sha3)
        self.page("/image/alice/tools:1.0", 451)
        self.page("/image/alice/tools:1.0/files", 451)
        self.page("/image/alice/tools:1.1/changes?from=1.0", 451)

    def test_files(self):
        self.publish_two()
        path = "/image/alice/tools:1.0/files"
        root = self.page(path)
        for name in ("bin", "etc", "srv", "usr", "var"):
            self.assertIn(f"{path}/{name}", root.links())
        folder = self.page(path + "/srv/app")
        self.assertIn(f"{path}/srv/app/main.py", folder.links())
        self.assertIn("1.0 MiB", folder.text)
        text = self.page(path + "/srv/app/main.py")
        self.assertIn('print("frame <%d>" % int(sys.argv[1]))', text.text)
        self.assertIn("gęślą", self.page(path + "/srv/app/README.md").text)
        long = self.page(path + "/srv/app/long.txt")
        self.assertIn("The first 256.0 KiB of 312.5 KiB", long.text)
        self.assertIn("16384", long.text)
        self.assertNotIn("16385", long.text)
        self.assertIn("not a text", self.page(path + "/srv/app/model.bin").text)
        self.assertIn("empty", self.page(path + "/var/log/app.log").text)
        link = self.page(path + "/usr/bin/python3")
        self.assertIn("A link to /bin/sh", link.text)
        self.assertIn("-rwsr-xr-x", link.text)
        self.page(path + "/no/such", 404)
        self.page(path + "/../../../../etc/passwd")  # of the image
        self.assertIn("root:x:0:0", self.page(path + "/..%2f..%2fetc/passwd").text)
        token = self.server.user("bob")
        random_bytes = self.tagged(token, user="bob", size=100_000)
        self.assertTrue(random_bytes.id)
        self.assertIn("cannot be read", self.page("/image/bob/tools:1.0").text)
        for view in ("files", "checks"):
            self.page("/image/bob/tools:1.0/" + view, 409)

    def test_what_has_changed(self):
        token, _, second = self.publish_two()
        for path in ("/image/alice/tools:1.1/changes", "/image/alice/tools:1.1/changes?from=1.0"):
            outline = self.page(path)
            for text in ("3 added, 1 removed", "/srv/app/old.py", "/srv/app/new/module.py", "VERSION=2"):
                self.assertIn(text, outline.text)
            self.assertIn("/image/alice/tools:1.0/files/srv/app/old.py", outline.links())
            self.assertIn("/image/alice/tools:1.1/files/srv/app/main.py", outline.links())
            self.assertNotIn("/srv/app/model.bin", outline.links())
        # As gvmi says.
        told = subprocess.run([BIN + "/gvmi", "diff", WORK + "/tools-1.gvmi", WORK + "/tools-2.gvmi"], stdout=subprocess.PIPE, text=True, check=True,
                              timeout=60).stdout.splitlines()
        files = [line[2:].split(":")[0] for line in told if not line.startswith("* configuration")]
        shown = [urllib.parse.unquote(link.split("/files", 1)[1]) for link in outline.links() if "/files/" in link]
        self.assertEqual(shown, [path for path in files if path != "/"])
        self.client.attach(second.id, "alice", "tools", "same", "alice", token)
        self.assertIn("the same image", self.page("/image/alice/tools:1.1/changes?from=same").text)
        self.client.attach(second.id, "alice", "single", "1", "alice", token)
        self.assertIn("no other version", self.page("/image/alice/single/changes").text)
        self.page("/image/alice/tools:1.1/changes?from=2", 404)
        self.page("/image/alice/tools:1.1/changes?from=%3Cb%3E", 404)

    def test_hostile_texts_are_only_texts(self):
        image = images.publish(self.client, images.hostile(BIN, WORK), "mallory", "x", "1", self.server.user("mallory"))
        self.assertTrue(image.id)
        ordinary = {tag for tag, _ in self.page("/").elements}
        allowed = ordinary | {"table", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd", "section", "h3", "ol", "pre", "p", "div", "nav"}
        paths = ["/image/mallory/x", "/image/mallory/x/files", "/image/mallory/x/files/tree", "/image/mallory/x/checks"]
        listing = self.page("/image/mallory/x/files/tree")
        found = [link for link in listing.links() if "/files/tree/" in link]
        self.assertEqual(len(found), len([name for name in images.HOSTILE if "/" not in name]) + 2)
        for path in paths + found:
            outline = self.page(path)
            self.assertEqual({tag for tag, _ in outline.elements} - allowed, set(), path)
            self.assertNotIn("\u202e", outline.text)
            self.assertNotIn("\x1b", outline.text)
            # Nobody else's names get into ours.
            for _, attributes in outline.elements:
                self.assertFalse({"onerror", "onmouseover", "onfocus", "autofocus"} & attributes.keys())
        self.assertIn(images.SCRIPT, self.page(found[0]).text)

    def test_costly_images_cost_little(self):
        token = self.server.user("mallory")
        costly = {"listing": ("shared listing", 2000), "deep": ("deep paths", 8000), "target": ("shared target", 20000), "holes": ("shared blocks", 20),
                  "volumes": ("volumes", 60), "json": ("JSON objects", 1000), "depth": ("JSON depth", 400_000), "wide": ("deep paths", 400_000)}
        for name, (kind, size) in costly.items():
            # By another process: what this one has in memory stays.
            subprocess.run([sys.executable, costly_inputs.__file__, kind, str(size), WORK + "/costly"], check=True, stdout=subprocess.DEVNULL,
                           timeout=120)
            images.publish(self.client, WORK + "/costly", "mallory", "x", name, token)
        views = [f"/image/mallory/x:{name}{view}" for name in costly
                 for view in ("", "/files", "/files/" + "/".join(["n" * 255] * 3), "/checks", "/changes?from=target", "/changes?from=holes")]

        def get(path):
            start = time.monotonic()
            code, _, body = self.server.client().get(path)
            return path, code, len(body), time.monotonic() - start

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for path, code, size, seconds in pool.map(get, views):
                self.assertIn(code, (200, 404, 409, 503), path)
                self.assertLess(size, 8 << 20, path)
                self.assertLess(seconds, 60, path)
        print(f"memory of the server: {self.server.memory() >> 20} MiB")
        self.assertLess(self.server.memory(), 400 << 20)
        self.page("/")

    def test_a_small_page_and_nothing_from_elsewhere(self):
        self.publish_two()
        _, headers, style = self.client.get("/page.css")
        self.assertIn("immutable", headers["Cache-Control"])
        self.assertNotIn(b"http", style.replace(b"http://www.w3.org/2000/svg", b""))
        for path in ("/", "/image/alice/tools", "/image/alice/tools/files", "/image/alice/tools/changes", "/image/alice/tools/checks"):
            self.page(path)
            size = len(self.client.get(path)[2]) + len(style)
            print(f"{path} with its style: {size} bytes")
            self.assertLess(size, BUDGET)

    def test_a_hundred_thousand_images(self):
        self.publish_two()
        self.server.run("user", "add", "many")
        number = "printf('%064x', n)" if not registry.Server.cluster else "lpad(to_hex(n), 64, '0')"
        series = ("WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)" if not registry.Server.cluster else
                  "WITH numbers(n) AS (SELECT generate_series(1, 100000))")
        user = "user" if not registry.Server.cluster else "user_name"
        self.server.sql(f"INSERT INTO uploads (id, descriptor, sha3, size, state, touched{'' if registry.Server.cluster else ', number'}) {series} "
                        f"SELECT {number}, (SELECT descriptor FROM uploads LIMIT 1), {number.replace('64', '56')}, n, 1, 1"
                        f"{'' if registry.Server.cluster else ', 1000 + n'} FROM numbers")
        self.server.sql(f"INSERT INTO repositories ({user}, name) {series} SELECT 'many', 'image-' || n FROM numbers WHERE n <= 90000")
        self.server.sql(f"INSERT INTO repositories ({user}, name) VALUES ('many', 'tags')")
        self.server.sql(f"INSERT INTO tags (repository, name, upload, changed) {series} SELECT (SELECT id FROM repositories WHERE {user} = 'many' AND "
                        f"name = CASE WHEN n <= 90000 THEN 'image-' || n ELSE 'tags' END), '1.' || n, {number}, n FROM numbers")
        if registry.Server.cluster:
            self.server.sql("ANALYZE")
        for path in ("/", "/?after=many/image-55555", "/?q=image-77777", "/?q=no-such-name", "/?q=a", "/?q=tools", "/image/alice/tools",
                     "/image/many/tags?skip=9900", "/image/many/tags", "/image/alice/tools/files", "/image/alice/tools/changes",
                     "/image/alice/tools/checks"):
            times = []
            for _ in range(15):
                start = time.monotonic()
                code, _, _ = self.client.get(path)
                times.append(time.monotonic() - start)
                self.assertEqual(code, 200, path)
            print(f"{path}: median {statistics.median(times) * 1e3:.1f} ms, least {min(times) * 1e3:.1f} ms")
            self.assertLess(min(times), LIMIT, path)  # the least: other programs are none of the page's


class InABrowser(PageCase):
    """By Chromium, which Playwright drives; axe looks for what people with a keyboard or a screen reader could not use."""

    def test_in_chromium(self):
        if not browser.chromium():
            self.skipTest("chromium is not installed")
        token, _, _ = self.publish_two()
        images.publish(self.client, images.hostile(BIN, WORK), "mallory", "x", "1", self.server.user("mallory"))
        pictures = os.environ.get("GVMKIT_TEST_PICTURES") or WORK
        done = subprocess.run(["node", HERE + "/registry_page.cjs", json.dumps({"url": self.server.url, "token": token, "pictures": pictures})],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=280, check=False,
                              env={**os.environ, "NODE_PATH": browser.folder() + "/node_modules", "CHROMIUM": browser.chromium()})
        print(done.stdout)
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    registry.main()
