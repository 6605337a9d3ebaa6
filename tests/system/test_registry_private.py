#!/usr/bin/env python3
"""Private repositories: who finds an image and who does not, by every way there is; links to them, as an unchanged SDK and exe-unit use them.

test_registry_private.py BIN [--postgres] [--pair]
"""

import base64
import json
import os
import subprocess
import sys
import time
import unittest
import urllib.parse
import urllib.request

import other_clients
import registry_server

HERE = os.path.dirname(os.path.abspath(__file__))


def basic(user, token):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()}


def content(path):
    with open(path, "rb") as file:
        return file.read()


class WithSecrets(registry_server.Case):
    def setUp(self):
        super().setUp()
        self.alice, self.bob = self.server.user("alice"), self.server.user("bob")
        self.server.run("repo", "set", "alice/secret", "--private")

    def ask(self, path, login=None, method="GET", **headers):
        """(status, headers, body), by a user's token or by nobody."""
        tokens = {"alice": self.alice, "bob": self.bob}
        return self.client.request(method, path, None, {**(basic(login, tokens[login]) if login else {}), **headers})

    def pushed_privately(self, repository="secret", tag="1.0", **options):
        """As gvmkit-build does it: the name is asked for before there is a chunk."""
        image = self.image(**options)
        self.assertEqual(self.client.push_descriptor(image.descriptor)[0], 200)
        self.assertEqual(self.client.attach(image.id, "alice", repository, tag, "alice", self.alice, check="true")[0], 200)
        self.client.push(image)
        self.client.wait_full(image.id)
        return image

    def private(self, repository="secret", tag="1.0", **options):
        image = self.pushed_privately(repository, tag, **options)
        self.assertEqual(self.client.attach(image.id, "alice", repository, tag, "alice", self.alice)[0], 200)
        return image

    def link(self, image, login="alice"):
        """The path of a link that the owner gets."""
        code, headers, body = self.ask("/v1/image/info?hash=" + image.sha3, login)
        self.assertEqual(code, 200, body)
        self.assertEqual(headers["Cache-Control"], "no-store")
        info = json.loads(body)
        self.assertEqual((info["sha3"], info["size"]), (image.sha3, image.size))
        self.assertNotIn(image.id, body.decode(), "the id alone lets others ask for a tag on it")
        return urllib.parse.urlsplit(info["http"]).path


class Private(WithSecrets):
    def ways(self, image, tag="1.0"):
        return ["/v1/image/info?hash=" + image.sha3, f"/v1/image/info?tag=alice/secret:{tag}", "/v1/image/download?hash=" + image.sha3,
                f"/v1/image/download?tag=alice/secret:{tag}", f"/image.{image.sha3}.link", "/download/" + image.id]

    def test_nobody_else_finds_it_by_any_way(self):
        image = self.pushed_privately()
        for login in (None, "bob"):
            for path in self.ways(image):
                self.assertEqual(self.ask(path, login)[0], 404, f"before its tag is set: {path} by {login}")
        self.assertEqual(self.client.attach(image.id, "alice", "secret", "1.0", "alice", self.alice)[0], 200)
        for path in self.ways(image):
            for login, code in ((None, 404), ("bob", 404), ("alice", 302 if "/v1/image/download" in path else 200)):
                self.assertEqual(self.ask(path, login)[0], code, f"{path} by {login}")
                self.assertEqual(self.ask(path, login, "HEAD")[0], code, f"{path} by {login}")
        # The answers tell nothing of what there is: they are those for what is not there, but for the name.
        self.assertEqual(self.ask("/v1/image/info?tag=alice/secret:1.0")[2].replace(b"secret:1.0", b"none:9"),
                         self.ask("/v1/image/info?tag=alice/none:9")[2])
        for path in ("/", "/?q=secret", "/image/alice/secret", "/image/alice/secret:1.0", "/image/alice/secret:1.0/files/",
                     "/image/alice/secret:1.0/checks"):
            code, _, body = self.ask(path)
            self.assertEqual(code, 200 if path.startswith("/?") or path == "/" else 404, path)
            self.assertNotIn(image.sha3.encode(), body)
            self.assertNotIn(b"alice/<wbr><b>secret", body)
        self.assertEqual(self.ask("/v1/image/info?hash=" + image.sha3, **basic("alice", "gvmkit_0"))[0], 401)
        self.server.run("repo", "delete", "alice/secret:1.0")
        for path in self.ways(image):
            self.assertEqual(self.ask(path)[0], 404, f"after its last tag: {path}")
        self.assertIn("no errors found", self.server.run("fsck"))

    def test_a_link_is_for_everybody_until_it_ends(self):
        image = self.private()
        link = self.link(image)
        code, headers, body = self.ask(link, method="HEAD")
        self.assertEqual((code, int(headers["Content-Length"]), headers["Accept-Ranges"], body), (200, image.size, "bytes", b""))
        self.assertEqual(headers["Cache-Control"], "private")
        code, headers, body = self.ask(link)
        self.assertEqual((code, registry_server.sha3(body)), (200, image.sha3))
        self.assertEqual(self.ask(link, Range="bytes=4000000-")[2], content(image.path)[4_000_000:])
        for path, way in (("/v1/image/download?hash=" + image.sha3, "Location"), (f"/image.{image.sha3}.link", None)):
            code, headers, body = self.ask(path, "alice")
            self.assertIn("/download/private/", headers[way] if way else body.decode(), path)
        for position in range(len("/download/private/"), len(link)):
            changed = link[:position] + ("1" if link[position] != "1" else "2") + link[position + 1:]
            self.assertEqual(self.ask(changed)[0], 404, changed)
        for wrong in (link + "0", link + "/", link[:-1], link.upper(), "/download/private/", "/download/private/../../x",
                      "/download/private/" + "1" * 5000, link.replace("private/", "private/0"), link.replace(".", "%2e", 1) + "x"):
            self.assertIn(self.ask(wrong)[0], (400, 404, 414), wrong[:100])

    def test_links_end_with_a_deletion_a_block_and_on_demand(self):
        image = self.private()
        for end, undo, code in ((("block", "add", image.sha3), ("block", "delete", image.sha3), 451),
                                (("block", "add", image.chunks[0]), ("block", "delete", image.chunks[0]), 451),
                                (("repo", "set", "alice/secret", "--end-links"), None, 404),
                                (("repo", "delete", "alice/secret:1.0"), None, 404)):
            link = self.link(image)
            self.assertEqual(self.ask(link)[0], 200)
            self.server.run(*end)
            self.assertEqual(self.ask(link)[0], code, end)
            self.assertEqual(self.ask(link, Range="bytes=100-")[0], code, end)
            if undo:
                self.server.run(*undo)
                self.assertEqual(self.ask(link)[0], 200)
        for wrong in (("alice/none", "--end-links"), ("alice/secret",), ("alice/secret:1", "--private"), ("alice/secret", "--private", "--public"),
                      ("carol/x", "--private"), ("x", "--private")):
            self.assertNotEqual(self.server.run("repo", "set", *wrong, check=False).returncode, 0, wrong)

    def test_who_makes_a_repository_private(self):
        def settings(**fields):
            return self.client.post_form("/v1/repository/settings", {"username": "alice", "repository": "new", "login": "alice",
                                                                     "token": self.alice, "private": "true", **fields})

        for fields, code in (({"token": self.bob}, 401), ({"login": "bob", "token": self.bob}, 403), ({"private": "yes"}, 400),
                             ({"repository": "../x"}, 400), ({"repository": ""}, 400), ({"username": "a" * 5000}, 400)):
            self.assertEqual(settings(**fields)[0], code, fields)
        self.assertEqual(settings()[0], 200)
        self.assertEqual(settings(private="false")[0], 200)
        image = self.private("new", size=1000)
        self.assertEqual(self.code("/v1/image/info?hash=" + image.sha3), 200)
        self.assertEqual(settings()[0], 200)
        for path in ("/v1/image/info?hash=" + image.sha3, "/v1/image/info?tag=alice/new:1.0", "/download/" + image.id):
            self.assertEqual(self.code(path), 404)
        self.assertEqual(settings(private="false")[0], 200)
        self.assertEqual(self.code("/v1/image/info?tag=alice/new:1.0"), 200)

    def test_nobody_hides_what_others_have_published(self):
        anonymous, bobs = self.pushed(size=1000), self.tagged(self.bob, "bob", size=1001)
        for image in (anonymous, bobs):
            self.assertEqual(self.client.attach(image.id, "alice", "secret", "theirs", "alice", self.alice)[0], 200)
            self.assertEqual(self.code("/v1/image/info?hash=" + image.sha3), 200)
            self.assertEqual(self.code("/download/" + image.id), 200)
        self.assertEqual(self.code("/v1/image/info?tag=alice/secret:theirs"), 404)

    def run_program(self, program, *arguments, login="alice", check=True, **options):
        home = registry_server.WORK + "/home"
        os.makedirs(home, exist_ok=True)
        environment = {"PATH": os.environ["PATH"], "HOME": home, "REGISTRY_URL": self.server.url}
        if login:
            environment |= {"REGISTRY_USER": login, "REGISTRY_TOKEN": {"alice": self.alice, "bob": self.bob}[login]}
        done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
                              env=environment, cwd=registry_server.WORK, **options)
        self.assertEqual(done.returncode == 0, check, done.stdout)
        return done.stdout

    def test_our_programs_push_and_pull_it(self):
        image = self.image(size=3_000_000)
        build, gvmi = self.program.replace("gvmkit-registry", "gvmkit-build"), self.program.replace("gvmkit-registry", "gvmi")
        said = self.run_program(build, "--private", "--push-to", "alice/mine:1", "-d", image.path)
        self.assertIn("alice/mine is private", said)
        self.assertNotIn("download link", said)
        host = self.server.url.split("//")[1]
        self.assertIn(f'repository_url="http://alice:TOKEN@{host}"', said)
        self.assertIn("gvmi manifest create alice/mine:1", said)
        self.assertNotIn(self.alice, said)
        self.assertEqual(self.code("/v1/image/info?hash=" + image.sha3), 404)
        for what in ("alice/mine:1", image.sha3):
            output = f"{registry_server.WORK}/pulled-{what.replace('/', '-')}"
            self.run_program(gvmi, "pull", what, "-o", output)
            self.assertEqual(content(output), content(image.path))
            for login in (None, "bob"):
                self.assertIn("status 404", self.run_program(gvmi, "pull", what, "-o", output + login if login else output + "-", login=login,
                                                             check=False))
        self.assertIn("--private needs", self.run_program(build, "--private", "--push", "--nologin", "-d", image.path, check=False))
        self.assertIn("incompatible", self.run_program(build, "--private", "--thin", "--push-to", "alice/mine:2", "x", check=False))

    def test_unchanged_clients_deploy_it(self):
        """The converter of today pushes it, yapapi resolves it, and a provider's exe-unit downloads it by HEAD, GET and Range."""
        image = self.image(size=3_000_000)
        self.run_program(other_clients.uploader_0_3(), "-d", image.path, "--push-to", "alice/secret:theirs")
        self.assertEqual(self.code("/v1/image/info?hash=" + image.sha3), 404)
        scheme, host = self.server.url.split("//")
        for arguments in (["image_tag=alice/secret:theirs"], ["image_hash=" + image.sha3]):
            package = subprocess.run([other_clients.python(), HERE + "/resolve_yapapi.py", f"{scheme}//alice:{self.alice}@{host}", *arguments],
                                     stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout.strip()
            self.assertRegex(package, f"^hash:sha3:{image.sha3}:http")
            url = package.split(":", 3)[3]
            self.assertNotIn(self.alice, url, "the token stays with the requestor")
            head = urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=20)
            self.assertEqual(int(head.headers["Content-Length"]), image.size)
            whole = urllib.request.urlopen(url, timeout=20).read()
            self.assertEqual(registry_server.sha3(whole), image.sha3)
            rest = urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=1000000-"}), timeout=20)
            self.assertEqual((rest.status, rest.read()), (206, whole[1_000_000:]))
        refused = subprocess.run([other_clients.python(), HERE + "/resolve_yapapi.py", self.server.url, "image_hash=" + image.sha3],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        self.assertNotEqual(refused.returncode, 0, refused.stdout)

    def test_golem_js_sends_a_manifest_with_a_link(self):
        """It sends no login, so it gets a manifest that has the link."""
        image = self.private(size=100_000)
        gvmi = self.program.replace("gvmkit-registry", "gvmi")
        manifest = f"{registry_server.WORK}/manifest.json"
        self.run_program(gvmi, "manifest", "create", "alice/secret:1.0", "--output", manifest)
        payload = json.loads(content(manifest))["payload"][0]
        self.assertEqual(payload["hash"], "sha3:" + image.sha3)
        with urllib.request.urlopen(payload["urls"][0], timeout=20) as answer:
            self.assertEqual(registry_server.sha3(answer.read()), image.sha3)
        sent = subprocess.run(["node", HERE + "/resolve_golem_js.cjs", json.dumps({"manifest": base64.b64encode(content(manifest)).decode()})],
                              cwd=other_clients.node_folder(), stdout=subprocess.PIPE, text=True, timeout=60, check=True)
        demand = json.loads(sent.stdout)
        self.assertEqual(json.loads(base64.b64decode(demand["golem.srv.comp.payload"]))["payload"][0], payload)


class ShortLinks(WithSecrets):
    options = ("--link-ttl", "2s")

    def test_a_link_ends_with_its_time(self):
        link = self.link(self.private(size=1000))
        expires = int(link.rsplit("/", 1)[1].split(".")[2])
        self.assertLessEqual(expires - time.time(), 2)
        while True:
            asked = time.time()
            code = self.ask(link)[0]
            if code != 200:
                break
            self.assertLess(asked, expires + 1, "it holds longer than it says")
            time.sleep(0.1)
        self.assertEqual(code, 403)
        self.assertGreaterEqual(time.time(), expires)


if __name__ == "__main__":
    registry_server.main()
