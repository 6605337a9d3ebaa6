#!/usr/bin/env python3
"""The site that ./dev docs builds: its links, and how it looks to a browser, from a registry's `serve --docs` as a reader has it.

test_docs_site.py BIN SITE
"""

import html.parser
import http.client
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

import browser
import docker_archive
import registry_server

TOP = pathlib.Path(__file__).resolve().parent.parent.parent

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".svg": "image/svg+xml", ".json": "application/json", ".txt": "text/plain; charset=utf-8"}
# In a browser each is looked at; those of the rest that have tables, code, pictures or long words.
LOOKED_AT = ["index.html", "tutorial.html", "convert.html", "provider-troubles.html", "reference.html", "specification.html"]


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.names, self.inline = [], [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            self.names.add(attrs["id"])
        if tag == "a" and "href" in attrs:
            self.links.append(attrs["href"])
        elif tag in ("img", "script", "link", "iframe", "source"):
            self.loads.append(attrs.get("src") or attrs.get("href"))
        if "style" in attrs or tag == "style" or any(name.startswith("on") for name in attrs) or (tag == "script" and "src" not in attrs):
            self.inline.append((tag, attrs))


class Links(unittest.TestCase):
    def test_every_link_and_anchor_is_there_and_nothing_is_loaded_from_elsewhere(self):
        pages = {path: Page(path) for path in SITE.rglob("*.html")}
        self.assertGreater(len(pages), 15)
        for path, page in pages.items():
            self.assertEqual(page.inline, [], f"{path}: the policy forbids what is inline")
            for link in page.links + page.loads:
                parts = urllib.parse.urlsplit(link)
                if parts.scheme in ("http", "https"):
                    self.assertIn(link, page.links, f"{path} loads {link}")
                    continue
                self.assertEqual((parts.scheme, parts.netloc), ("", ""), f"{path}: {link}")
                target = pathlib.Path(os.path.normpath(path.parent / urllib.parse.unquote(parts.path))) if parts.path else path
                self.assertTrue(target.is_file(), f"{path}: {link} is dead")
                if parts.fragment:
                    self.assertIn(parts.fragment, pages[target].names, f"{path}: {link} names no heading")

    def test_each_page_has_one_heading_of_the_first_level(self):
        for path in SITE.rglob("*.html"):
            self.assertEqual(path.read_text(encoding="utf-8").count("<h1"), 1, path)


class Session(unittest.TestCase):
    def test_the_picture_shows_what_the_programs_print(self):
        """docs/session.svg, but for numbers and hashes; site/record.py draws it anew."""
        folder = tempfile.mkdtemp(prefix="gvmkit-session.")
        self.addCleanup(shutil.rmtree, folder)
        layer = docker_archive.Layer()
        for name in ("bin", "golem", "golem/output", "golem/work"):
            layer.folder(name)
        for name, source in (("busybox", docker_archive.BUSYBOX), ("hello", TOP / "examples/hello/hello")):
            layer.add("bin/" + name, data=pathlib.Path(source).read_bytes(), mode=0o755)
        layer.tar.close()
        docker_archive.save(folder + "/hello.tar", layer.bytes.getvalue(), {"Env": ["GREETING=Hello from inside a Golem VM"],
                                                                           "WorkingDir": "/golem/work", "Volumes": {"/golem/output": {}}})
        environment = dict(os.environ, YA_RUNTIME_VM_ACCEL="tcg")
        subprocess.run([TOP / "site/record.py", BIN, folder + "/hello.tar", folder + "/new.svg"], env=environment, check=True, timeout=300)
        shown, new = ([re.sub(r"[0-9a-f]{8,}…?|\d+(\.\d+)?", "#", line) for line in re.findall(r">([^<]*)</text>", pathlib.Path(path).read_text(encoding="utf-8"))]
                      for path in (TOP / "docs/session.svg", folder + "/new.svg"))
        self.assertEqual(shown, new)


class Served(unittest.TestCase):
    """By a registry."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="gvmkit-docs-site.")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        shutil.copytree(SITE, cls.folder + "/site")
        for name in ("site/.hidden", "secret"):
            pathlib.Path(cls.folder, name).write_text("secret", encoding="ascii")
        os.symlink("../secret", cls.folder + "/site/link.txt")
        os.symlink("..", cls.folder + "/site/up")
        cls.server = registry_server.Server(BIN + "/gvmkit-registry", "--docs", cls.folder + "/site")
        cls.addClassCleanup(cls.server.remove)
        cls.server.start()

    def get(self, path, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        self.addCleanup(connection.close)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    def test_every_file_has_its_bytes_and_its_type(self):
        for path in SITE.rglob("*"):
            if path.is_dir():
                continue
            status, headers, body = self.get("/docs/" + path.relative_to(SITE).as_posix())
            self.assertEqual((status, body), (200, path.read_bytes()), path)
            self.assertEqual(headers["Content-Type"], TYPES[path.suffix], path)
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
            self.assertNotIn("unsafe", headers["Content-Security-Policy"])
        self.assertEqual(self.get("/docs/")[2], (SITE / "index.html").read_bytes())
        self.assertEqual(self.get("/docs")[:2][1]["Location"], "/docs/")
        self.assertIn(b'href="/docs/"', self.get("/")[2])
        status, headers, body = self.get("/docs/", "HEAD")
        self.assertEqual((status, int(headers["Content-Length"]), body), (200, (SITE / "index.html").stat().st_size, b""))
        status, headers, body = self.get("/docs/style.css", Range="bytes=1-4")
        self.assertEqual((status, body), (206, (SITE / "style.css").read_bytes()[1:5]))

    def test_nothing_else_is_reached(self):
        for path in ("../secret", "%2e%2e/secret", "..%2fsecret", "spec/../../secret", "/etc/passwd", "//etc/passwd", ".hidden", "link.txt", "up/secret",
                     "index.html/", "spec", "a" * 5000):
            status, _, body = self.get("/docs/" + path)
            self.assertEqual(status, 404, path)
            self.assertNotIn(b"secret", body)
        self.assertEqual(self.get("/docs/index.html", "POST")[0], 404)
        self.assertEqual(self.get("/docsx")[0], 404)

    def test_a_folder_without_pages_is_refused(self):
        os.makedirs(self.folder + "/empty", exist_ok=True)
        done = self.server.run("serve", "--docs", self.folder + "/empty", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("has no index.html", done.stdout)

    def assert_sound(self, seen):
        self.assertEqual((seen["failed"], seen["errors"], seen["overflow"]), ([], [], 0), seen["url"])
        self.assertEqual(browser.serious(seen), [], seen["url"])
        self.assertEqual([url for url in seen["requests"] if not url.startswith(self.server.url + "/docs/")], [], seen["url"])

    @unittest.skipUnless(browser.chromium(), "no chromium")
    def test_in_a_browser(self):
        visits = []
        for page in LOOKED_AT:
            for name, kind in (("desktop", browser.DESKTOP), ("phone-dark", {**browser.PHONE, "dark": True})):
                visits.append({"url": f"{self.server.url}/docs/{page}", **kind, **screenshot(f"{page.replace('/', '-')}-{name}")})
        url = self.server.url + "/docs/faq.html"
        search = [["fill", "#query", "outbound manifest"], ["waitFor", "#found a"]]
        visits.append({"url": url, **browser.DESKTOP, "dark": True, "steps": search, **screenshot("search")})
        visits.append({"url": url, **browser.DESKTOP, "steps": search + [["press", "#query", "Enter"], ["waitFor", "[aria-current]"]]})
        visits.append({"url": url, **browser.PHONE, "steps": [["click", "#menu"], ["waitFor", "#pages.open"]], **screenshot("menu")})
        seen = browser.visit(*visits)
        for each in seen:
            self.assert_sound(each)
        self.assertIn("Publishing an image: Manifests", seen[-3]["text"])
        self.assertNotIn("faq.html", seen[-2]["requests"][-1])  # Enter opens the first


def screenshot(name):
    """Where GVMKIT_SCREENSHOTS is a folder, of a visit."""
    folder = os.environ.get("GVMKIT_SCREENSHOTS")
    return {"screenshot": f"{folder}/{name}.png"} if folder else {}


if __name__ == "__main__":
    BIN = os.path.abspath(sys.argv.pop(1))
    SITE = pathlib.Path(sys.argv.pop(1)).resolve()
    if not shutil.which("mkdocs"):
        print("skipped: mkdocs is missing")
        sys.exit(77)
    unittest.main(verbosity=2)
