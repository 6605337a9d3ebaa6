"""What tests of the registry's page share: a page as a reader has it, and what holds for every page."""

import html.parser
import os
import sys
import time

import registry_images as images
import registry_server as registry

WORK = registry.WORK
BIN = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else ""
POLICY = ("default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; "
          "base-uri 'none'")


class Outline(html.parser.HTMLParser):
    """A page's elements, links and texts; and whether every element is closed."""

    EMPTY = {"meta", "link", "input", "wbr", "br"}

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text += data

    def links(self):
        return [attributes["href"] for tag, attributes in self.elements if tag == "a"]


class PageCase(registry.Case):
    def page(self, path, code=200, **headers):
        """Its outline, after what holds for every page."""
        got, answer, body = self.client.get(path, **headers)
        self.assertEqual(got, code, (path, body))
        self.assertEqual((answer["Content-Type"], answer["Content-Security-Policy"]), ("text/html; charset=utf-8", POLICY))
        self.assertEqual(answer["X-Content-Type-Options"], "nosniff")
        outline = Outline(body.decode())
        for tag, attributes in outline.elements:
            self.assertFalse([name for name in attributes if name.startswith("on") or name == "style"], (path, tag, attributes))
            self.assertNotIn(tag, ("iframe", "object", "embed", "base", "style", "img"))
            for name in ("href", "src", "action"):
                self.assertRegex(attributes.get(name, "/"), r"^(/|#)", (path, tag))  # nothing of another host
        self.assertEqual([tag for tag, _ in outline.elements].count("script"), 1)
        self.assertEqual([tag for tag, _ in outline.elements].count("h1"), 1)
        return outline

    def publish_two(self):
        token = self.server.user("alice")
        first = images.publish(self.client, images.ordinary(BIN, WORK, 1), "alice", "tools", "1.0", token)
        set_at = int(time.time())
        while int(time.time()) == set_at:  # the newest one is that of the latest second
            time.sleep(0.02)
        second = images.publish(self.client, images.ordinary(BIN, WORK, 2), "alice", "tools", "1.1", token)
        return token, first, second
