#!/usr/bin/env python3
"""The registry's page for those who sign in: forms, as a browser sends them.

test_registry_page_account.py BIN
"""

import os
import urllib.parse

import registry_server as registry
from registry_page import Outline, PageCase


class SignedIn(PageCase):
    def setUp(self):
        super().setUp()
        self.cookies = {}

    def visit(self, method, path, fields=None, **headers):
        """As a browser that keeps cookies."""
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if fields is not None:
            body = urllib.parse.urlencode(fields).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        code, answer, text = self.client.request(method, path, body, headers)
        for cookie in answer.get_all("Set-Cookie") or []:
            parts = cookie.split("; ")
            self.assertTrue({"HttpOnly", "SameSite=Strict", "Path=/"} <= set(parts), cookie)
            name, value = parts[0].split("=")
            self.cookies[name] = value
        return code, answer, text.decode()

    def form(self, path="/account"):
        """The hidden text of a page's forms."""
        _, _, body = self.visit("GET", path)
        return next(attributes["value"] for tag, attributes in Outline(body).elements if attributes.get("name") == "form")

    def sign_in(self, user, token):
        return self.visit("POST", "/sign-in", {"form": self.form("/sign-in"), "user": user, "token": token})

    def test_sign_in_and_out(self):
        token = self.server.user("alice")
        self.assertEqual(self.visit("GET", "/account")[1]["Location"], "/sign-in")
        for user, given in (("alice", "wrong"), ("bob", token), ("", ""), ("<b>", token), ("alice", "\0")):
            code, _, body = self.sign_in(user, given)
            self.assertEqual(code, 401)
            self.assertIn("Wrong user name or token", body)
            self.assertNotIn("<b>", body.split("<main")[1])
        self.assertNotIn("gvmkit-session", self.cookies)
        code, answer, _ = self.sign_in("alice", token)
        self.assertEqual((code, answer["Location"]), (303, "/account"))
        secret = self.cookies["gvmkit-session"]
        self.assertNotIn(token, str(self.cookies))
        for folder, _, files in os.walk(self.server.data):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(secret.split("_")[1].encode(), file.read())
        code, answer, body = self.visit("GET", "/account")
        self.assertEqual((code, answer["Cache-Control"]), (200, "no-store"))
        self.assertIn("0 B of 100.0 GiB used", body)
        self.server.stop()  # another server, or the same one later
        self.client = self.server.start().client()
        self.assertEqual(self.visit("GET", "/account")[0], 200)
        self.assertEqual(self.visit("POST", "/sign-out", {"form": self.form()})[1]["Location"], "/")
        self.assertEqual(self.visit("POST", "/sign-out", {"form": self.form("/sign-in")})[1]["Location"], "/")  # again
        self.assertEqual(self.visit("GET", "/account")[1]["Location"], "/sign-in")
        self.cookies["gvmkit-session"] = secret
        self.assertEqual(self.visit("GET", "/account")[1]["Location"], "/sign-in")
        # By TLS, the cookie is for TLS.
        _, answer, _ = self.client.get("/sign-in", **{"X-Forwarded-Proto": "https"})
        self.assertIn("; Secure", answer["Set-Cookie"])

    def test_tokens(self):
        self.sign_in("alice", self.server.user("alice"))
        code, _, body = self.visit("POST", "/account/token", {"form": self.form(), "note": "<script>CI</script>"})
        self.assertEqual(code, 200)
        self.assertIn("&lt;script&gt;CI", body)
        made = next(attributes["data-copy"] for _, attributes in Outline(body).elements if attributes.get("data-copy", "").startswith("gvmkit_"))
        self.assertEqual(self.client.post_json("/auth/pat/login", {"username": "alice", "password": made})[0], 200)
        self.assertNotIn(made, self.visit("GET", "/account")[2])
        numbers = [line.split("\t")[0] for line in self.server.run("token", "list", "alice").splitlines()]
        bob = self.server.user("bob")
        other = self.server.run("token", "list", "bob").split("\t")[0]
        for number in (other, "0", "x", "", "1 OR 1=1", "99999999999999999999"):
            self.assertEqual(self.visit("POST", "/account/revoke", {"form": self.form(), "id": number})[0], 404)
        self.assertEqual(self.client.post_json("/auth/pat/login", {"username": "bob", "password": bob})[0], 200)
        self.assertEqual(self.visit("POST", "/account/revoke", {"form": self.form(), "id": numbers[1]})[0], 303)
        self.assertEqual(self.client.post_json("/auth/pat/login", {"username": "alice", "password": made})[0], 401)
        self.assertEqual(self.visit("POST", "/account/token", {"form": self.form(), "note": "a" * 101})[0], 400)
        # The session ends with the token that it was begun with.
        self.assertEqual(self.visit("POST", "/account/revoke", {"form": self.form(), "id": numbers[0]})[0], 303)
        self.assertEqual(self.visit("GET", "/account")[1]["Location"], "/sign-in")

    def test_deleting(self):
        token, bob = self.server.user("alice"), self.server.user("bob")
        image = self.tagged(token)
        for tag in ("2", "3"):
            self.client.attach(image.id, "alice", "tools", tag, "alice", token)
        self.client.attach(image.id, "bob", "tools", "1", "bob", bob)
        self.assertNotIn("/account/delete", self.visit("GET", "/image/alice/tools")[2])
        self.sign_in("alice", token)
        self.assertIn("/account/delete", self.visit("GET", "/image/alice/tools")[2])
        self.assertNotIn("/account/delete", self.visit("GET", "/image/bob/tools")[2])
        self.assertIn("/image/alice/tools", self.visit("GET", "/account")[2])
        delete = lambda name: self.visit("POST", "/account/delete", {"form": self.form(), "name": name})  # noqa: E731
        self.assertEqual([delete(name)[0] for name in ("bob/tools:1", "alice/tools:4", "alice", "", "alice/<b>", "alice/other")],
                         [403, 404, 400, 400, 400, 404])
        self.assertEqual(delete("alice/tools:2")[1]["Location"], "/image/alice/tools")
        self.assertEqual(self.code("/v1/image/info?tag=alice/tools:2"), 404)
        self.assertEqual(self.code("/v1/image/info?tag=alice/tools:3"), 200)
        self.assertEqual(delete("alice/tools")[1]["Location"], "/account")
        self.assertEqual(self.code("/v1/image/info?tag=alice/tools:3"), 404)
        self.assertEqual(self.code("/v1/image/info?tag=bob/tools:1"), 200)

    def test_private_images(self):
        token, bob = self.server.user("alice"), self.server.user("bob")
        image = self.pushed(size=300_000, attached=("alice", "secret", "1", token))
        self.tagged(bob, "bob", size=1000)
        self.sign_in("bob", bob)
        bobs = self.cookies
        private = lambda name, value="true": self.visit("POST", "/account/privacy", {"form": self.form(), "name": name, "private": value})  # noqa: E731
        self.assertNotIn("/account/privacy", self.visit("GET", "/image/alice/secret")[2])
        self.assertEqual(private("alice/secret")[0], 403)
        self.cookies = {}
        self.sign_in("alice", token)
        self.assertIn("/account/privacy", self.visit("GET", "/image/alice/secret")[2])
        self.assertEqual([private(name, value)[0] for name, value in (("bob/tools", "true"), ("alice/none", "true"), ("alice/secret", "maybe"),
                                                                       ("alice", "true"), ("", "true"))], [403, 404, 400, 400, 400])
        self.assertEqual(private("alice/secret")[1]["Location"], "/image/alice/secret")
        for path, text in (("/", "alice/<wbr><b>secret"), ("/?q=secret", "secret"), ("/account", "secret"), ("/image/alice/secret", image.sha3),
                           ("/image/alice/secret:1", "/download/private/"), ("/image/alice/secret:1", "gvmi manifest create alice/secret:1")):
            code, headers, body = self.visit("GET", path)
            self.assertEqual((code, headers["Cache-Control"]), (200, "no-store"), path)
            self.assertIn(text, body)
            self.assertIn(">private<", body)
        link = next(attributes["href"] for tag, attributes in Outline(self.visit("GET", "/image/alice/secret")[2]).elements
                    if attributes.get("href", "").startswith("/download/private/"))
        alices = self.cookies
        for cookies in ({}, bobs):
            self.cookies = cookies
            for path in ("/image/alice/secret", "/image/alice/secret:1", "/image/alice/secret:1/files/", "/image/alice/secret:1/changes",
                         "/image/alice/secret:1/checks"):
                code, _, body = self.visit("GET", path)
                self.assertEqual(code, 404, path)
                self.assertNotIn(image.sha3, body)
            self.assertNotIn("secret", self.visit("GET", "/")[2])
            self.assertIn("No image has such a name", self.visit("GET", "/?q=secret")[2])
            self.assertEqual(self.client.get(link)[0], 200)
        self.cookies = alices
        self.assertEqual(private("alice/secret", "false")[0], 303)
        self.cookies = {}
        self.assertIn(image.sha3, self.visit("GET", "/image/alice/secret")[2])
        self.assertEqual(self.client.get(link)[0], 404)

    def test_an_empty_repository(self):
        token = self.server.user("alice")
        self.server.user("bob")
        self.page("/image/alice/new", 404)
        self.sign_in("alice", token)
        make = lambda name: self.visit("POST", "/account/repository", {"form": self.form(), "repository": name})  # noqa: E731
        code, answer, _ = make("new")
        self.assertEqual((code, answer["Location"]), (303, "/image/alice/new"))
        self.assertEqual([make(name)[0] for name in ("new", "", "a/b", "<b>", "a:1", "..", "a" * 129, "\0")], [409, 400, 400, 400, 400, 400, 400, 400])
        code, _, body = self.visit("GET", "/image/alice/new")
        self.assertEqual(code, 200)
        self.assertIn("Nothing has been pushed here yet", body)
        self.assertIn("gvmkit-build --push-to alice/new:1.0", body)
        Outline(body)
        self.assertIn("/image/alice/new", Outline(self.visit("GET", "/account")[2]).links())
        self.page("/image/alice/new", 404)  # nobody else sees it
        self.assertNotIn("/image/alice/new", self.page("/").links())
        # It takes an image, and stays without one.
        self.tagged(token, repository="new")
        self.assertIn("/image/alice/new", self.page("/").links())
        delete = lambda name: self.visit("POST", "/account/delete", {"form": self.form(), "name": name})[1]["Location"]  # noqa: E731
        self.assertEqual(delete("alice/new:1.0"), "/account")
        self.assertIn("Nothing has been pushed here yet", self.visit("GET", "/image/alice/new")[2])
        self.server.run("repo", "set", "alice/new", "--immutable-tags", "on", "--keep", "3", "--keep-younger-than", "36h")
        self.assertIn("immutable; kept: the last 3 and those younger than 36 hours", self.visit("GET", "/image/alice/new")[2])
        self.assertEqual(delete("alice/new"), "/account")
        self.assertEqual(self.visit("GET", "/image/alice/new")[0], 404)
        self.assertNotIn("/image/alice/new", Outline(self.visit("GET", "/account")[2]).links())

    def test_forms_of_others_do_nothing(self):
        token = self.server.user("alice")
        self.tagged(token)
        other_form = self.form("/sign-in")
        self.assertEqual(self.visit("POST", "/sign-in", {"form": other_form[::-1], "user": "alice", "token": token})[0], 403)
        self.assertEqual(self.visit("POST", "/sign-in", {"form": other_form, "user": "alice", "token": token}, **{"Sec-Fetch-Site": "cross-site"})[0],
                         403)
        self.sign_in("alice", token)
        for fields in ({}, {"form": ""}, {"form": other_form}, {"form": "0" * 64}):
            for path in ("/sign-out", "/account/token", "/account/revoke", "/account/delete", "/account/privacy", "/account/repository"):
                self.assertIn(self.visit("POST", path, {**fields, "name": "alice/tools:1.0", "id": "1", "note": ""})[0], (400, 403), path)
        good = self.form()
        cookies, self.cookies = self.cookies, {}
        for path in ("/sign-out", "/account/token", "/account/revoke", "/account/delete", "/account/privacy", "/account/repository"):
            self.assertEqual(self.visit("POST", path, {"form": good, "name": "alice/tools:1.0", "id": "1", "note": ""})[0], 403, path)
        self.assertEqual(self.code("/v1/image/info?tag=alice/tools:1.0"), 200)
        self.cookies = cookies
        self.assertEqual(len(self.server.run("token", "list", "alice").splitlines()), 1)
        # And what is no form at all.
        for body, kind in ((b"\xff" * 1000, "application/x-www-form-urlencoded"), (b"form=" + b"a" * 5000, "application/x-www-form-urlencoded"),
                           (b"form=a&" * 1000, "application/x-www-form-urlencoded"), (b"{}", "application/json"), (b"", "multipart/form-data")):
            code, _, _ = self.client.request("POST", "/account/token", body, {"Content-Type": kind})
            self.assertIn(code, (400, 403), (body[:20], kind))
        self.assertEqual(self.visit("GET", "/account")[0], 200)


if __name__ == "__main__":
    registry.main()
