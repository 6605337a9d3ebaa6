#!/usr/bin/env python3
"""`gvmi manifest`: what it makes passes the JSON schema, both refuse the same, and OpenSSL agrees with its signatures.

test_registry_client_manifest.py BIN SCHEMA
"""

import base64
import copy
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import other_clients

HERE = os.path.dirname(os.path.abspath(__file__))
VALIDATE = """
import json, jsonschema, sys
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for line in sys.stdin:
    print(json.dumps([error.message for error in validator.iter_errors(json.loads(line))]))
"""
IMAGE = "hash:sha3:" + "0123abcd" * 7 + ":http://127.0.0.1/app.gvmi"
DELETE = object()


class Manifest(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="gvmkit-manifest.")
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)

    def run_program(self, *command, check=True):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False, cwd=self.work)
        if check:
            self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout if check else done

    def gvmi(self, *arguments, **options):
        return self.run_program(BIN + "/gvmi", "manifest", *arguments, **options)

    def path(self, name):
        return os.path.join(self.work, name)

    def read(self, name="manifest.json"):
        with open(self.path(name), "rb") as file:
            return file.read()

    def schema_errors(self, manifests):
        done = subprocess.run([other_clients.python(), "-c", VALIDATE, SCHEMA], input="".join(json.dumps(m) + "\n" for m in manifests),
                              stdout=subprocess.PIPE, text=True, timeout=60, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def create(self):
        self.gvmi("create", IMAGE, "--name", "app", "--description", "an app", "--app-version", "1.2.3", "--author", "me", "--author", "you",
                  "--homepage", "https://example.org")
        self.gvmi("add-outbound", "https://api.example.org/v1", "tcp://db.example.org:5432")
        return json.loads(self.read())

    def test_the_schema_and_the_program_agree(self):
        good = self.create()
        self.assertEqual(good["payload"], [{"platform": {"arch": "x86_64", "os": "linux"}, "urls": ["http://127.0.0.1/app.gvmi"],
                                            "hash": "sha3:" + "0123abcd" * 7}])
        changes = [
            (["version"], "1.0.0"), (["version"], "1.0"), (["version"], DELETE), (["createdAt"], "2020-01-01T00:00:00.5+01:00"),
            (["createdAt"], "yesterday"), (["expiresAt"], "2100-01-01T00:00:00Z"), (["expiresAt"], 5), (["expiresAt"], DELETE),
            (["metadata"], DELETE), (["metadata", "name"], DELETE), (["metadata", "name"], ""), (["metadata", "version"], "x"),
            (["metadata", "authors"], "me"), (["metadata", "authors", 0], 1), (["metadata", "more"], 1), (["payload"], []), (["payload"], {}),
            (["payload", 0, "urls"], []), (["payload", 0, "urls", 0], "/x"), (["payload", 0, "urls", 0], "http://a b"),
            (["payload", 0, "urls", 0], "http:///x"), (["payload", 0, "hash"], "sha3:12"), (["payload", 0, "hash"], "sha3:" + "A" * 56),
            (["payload", 0, "hash"], "sha256:" + "a" * 64), (["payload", 0, "platform"], DELETE), (["payload", 0, "platform", "osVersion"], "12"),
            (["payload", 0, "platform", "arch"], DELETE), (["payload", 0, "sum"], 1), (["compManifest"], DELETE),
            (["compManifest", "version"], DELETE), (["compManifest", "script"], {"commands": ["run .*", {"run": {}}], "match": "regex"}),
            (["compManifest", "script"], {"commands": [1]}), (["compManifest", "script"], {"commands": [], "match": "glob"}),
            (["compManifest", "net"], {}), (["compManifest", "net", "inet"], {}), (["compManifest", "net", "inet", "out"], {}),
            (["compManifest", "net", "inet", "out"], {"unrestricted": {"urls": True}}),
            (["compManifest", "net", "inet", "out"], {"unrestricted": {"urls": False}}),
            (["compManifest", "net", "inet", "out", "unrestricted"], {"urls": True}),
            (["compManifest", "net", "inet", "out", "protocols"], DELETE), (["compManifest", "net", "inet", "out", "protocols"], ["udp", "ftp"]),
            (["compManifest", "net", "inet", "out", "protocol"], ["udp"]),
        ]
        manifests = [good]
        for keys, value in changes:
            manifest = copy.deepcopy(good)
            place = manifest
            for key in keys[:-1]:
                place = place[key]
            if value is DELETE:
                del place[keys[-1]]
            else:
                place[keys[-1]] = value
            manifests.append(manifest)
        verdicts = []
        for number, (manifest, errors) in enumerate(zip(manifests, self.schema_errors(manifests))):
            with open(self.path("changed.json"), "w", encoding="utf-8") as file:
                json.dump(manifest, file)
            done = self.gvmi("verify", "--unsigned", "--manifest", "changed.json", check=False)
            verdicts.append(done.returncode)
            self.assertEqual(done.returncode == 0, not errors, (changes[number - 1], errors, done.stdout))
        self.assertEqual(verdicts[0], 0)
        self.assertGreater(verdicts.count(0), 10)
        self.assertGreater(verdicts.count(1), 20)

    def certificates(self):
        """A root, an intermediate and a leaf, with keys; the chain's file has the leaf first."""
        def openssl(*arguments):
            self.run_program("openssl", *arguments)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=root", "-days", "30")
        with open(self.path("ca.ext"), "w", encoding="ascii") as file:
            file.write("basicConstraints=critical,CA:true\n")
        for name, issuer, extra in [("inter", "root", ["-extfile", "ca.ext"]), ("leaf", "inter", [])]:
            openssl("req", "-newkey", "rsa:2048", "-passout", "pass:secret", "-keyout", name + ".key", "-out", name + ".csr", "-subj",
                    "/CN=" + name) if name == "leaf" else openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", name + ".key", "-out",
                                                                  name + ".csr", "-subj", "/CN=" + name)
            openssl("x509", "-req", "-in", name + ".csr", "-CA", issuer + ".pem", "-CAkey", issuer + ".key", "-out", name + ".pem", "-days",
                    "30", *extra)
        with open(self.path("chain.pem"), "wb") as file:
            file.write(self.read("leaf.pem") + self.read("inter.pem"))
        with open(self.path("passphrase"), "w", encoding="ascii") as file:
            file.write("secret\n")

    def test_a_signature_holds_for_openssl_and_for_golem_js(self):
        self.create()
        self.certificates()
        self.assertIn("signed by CN=leaf", self.gvmi("sign", "-k", "leaf.key", "-c", "chain.pem", "--passphrase-file", "passphrase"))
        text, signature, chain = (self.read("manifest.json" + end) for end in [".base64", ".sig", ".cert"])
        self.assertEqual(base64.b64decode(text, validate=True), self.read())
        pem = base64.b64decode(chain, validate=True)
        # As providers have it: the signer is the last.
        last = pem[pem.rindex(b"-----BEGIN"):]
        self.assertEqual(last, self.read("leaf.pem"))
        with open(self.path("raw.sig"), "wb") as file:
            file.write(base64.b64decode(signature, validate=True))
        self.run_program("openssl", "x509", "-in", "leaf.pem", "-noout", "-pubkey", "-out", "leaf.pub")
        self.run_program("openssl", "dgst", "-sha256", "-verify", "leaf.pub", "-signature", "raw.sig", "manifest.json.base64")
        config = {"manifest": text.decode(), "manifestSig": signature.decode(), "manifestSigAlgorithm": "sha256", "manifestCert": chain.decode()}
        done = subprocess.run(["node", HERE + "/resolve_golem_js.cjs", json.dumps(config)], cwd=other_clients.node_folder(), timeout=60,
                              stdout=subprocess.PIPE, check=True)
        properties = json.loads(done.stdout)
        self.assertEqual({name: value for name, value in properties.items() if "payload" in name},
                         {"golem.srv.comp.payload": text.decode(), "golem.srv.comp.payload.sig": signature.decode(),
                          "golem.srv.comp.payload.sig.algorithm": "sha256", "golem.srv.comp.payload.cert": chain.decode()})

    def test_verify_tells_what_does_not_hold(self):
        def refused(*arguments):
            done = self.gvmi("verify", *arguments, check=False)
            self.assertEqual(done.returncode, 1, done.stdout)
            return done.stdout
        self.create()
        self.certificates()
        self.assertIn("No such file", refused())
        self.gvmi("sign", "-k", "leaf.key", "-c", "chain.pem", "--passphrase-file", "passphrase")
        self.assertIn("valid, signed by CN=leaf (their certificate was not checked", self.gvmi("verify"))
        self.assertIn("valid, signed by CN=leaf\n", self.gvmi("verify", "--authorities", "root.pem"))
        self.assertIn("the certificate of CN=inter does not hold: unable to get", refused("--authorities", "leaf.pem"))
        self.assertIn("is not one of CN=leaf", refused("--algorithm", "sha512"))
        self.gvmi("add-outbound", "https://more.example.org")
        self.assertIn("is another text than manifest.json", refused())
        for name, data in [("manifest.json.base64", base64.b64encode(self.read())), ("manifest.json.sig", b"bm90IGEgc2lnbmF0dXJl")]:
            with open(self.path(name), "wb") as file:
                file.write(data)
            self.assertIn("the signature is not one of CN=leaf", refused())
        with open(self.path("manifest.json.sig"), "wb") as file:
            file.write(b"?")
        self.assertIn("the signature: not Base64", refused())
        wrong = self.gvmi("sign", "-k", "root.key", "-c", "chain.pem", check=False)
        self.assertIn("no certificate of the key that signs", wrong.stdout)

    def test_create_needs_a_hash(self):
        done = self.gvmi("create", "http://127.0.0.1/app.gvmi", check=False)
        self.assertIn("a URL does not tell the hash", done.stdout)
        self.gvmi("create", "http://127.0.0.1/app.gvmi", "--hash", hashlib.sha3_224(b"x").hexdigest())
        self.assertEqual(json.loads(self.read())["payload"][0]["hash"], "sha3:" + hashlib.sha3_224(b"x").hexdigest())


if __name__ == "__main__":
    BIN, SCHEMA = map(os.path.abspath, sys.argv[1:])
    unittest.main(argv=sys.argv[:1], verbosity=2)
