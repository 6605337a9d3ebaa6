#!/usr/bin/env python3
"""Builds the site of the documents with MkDocs: build.py OUTPUT

The pages are README.md, those of docs/ and a few beside README.md. They are copied under the names that they have on the site, with their links
rewritten, so that the same links work in the repository. Every page of docs/ must have a place in KINDS. OUTPUT is replaced once all is right.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent
KINDS = {
    "Tutorial": ["docs/tutorial.md"],
    "Guides: the image": ["docs/dockerfile.md", "docs/convert.md", "docs/smaller-image.md", "docs/volumes.md", "docs/users.md", "docs/services.md",
                          "docs/containers.md", "docs/gpu.md", "docs/examples.md"],
    "Guides: trying and publishing": ["docs/install.md", "docs/run-locally.md", "docs/publish.md", "docs/ci.md", "docs/outbound.md", "docs/vpn.md",
                                      "docs/run-a-registry.md"],
    "Guides: a provider": ["docs/become-a-provider.md", "docs/provider.md", "docs/provider-troubles.md"],
    "Guides: when you are stuck": ["docs/faq.md"],
    "Reference": ["docs/reference.md", "docs/spec/cli.md", "docs/spec/gvmi.md", "docs/spec/thin.md", "docs/spec/registry.md", "docs/spec/exe-unit.md",
                  "docs/spec/guest.md", "docs/spec/debug.md", "docs/glossary.md", "SPECIFICATION.md"],
    "Explanation": ["docs/why-not-docker.md", "docs/what-a-gvmi-is.md", "docs/where-time-goes.md", "docs/what-a-provider-sees.md",
                    "docs/templates-and-thin-images.md"],
    "The project": ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "ARCHITECTURE.md", "tests/README.md"],
}
ASSETS = (".svg", ".png")
COMMENT = re.compile(r"^<!-- (?:not run|file|background|prepare|requestor): .*? -->\n", re.M | re.S)
FENCED = re.compile(r"^```.*?^```$", re.M | re.S)
LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")


def site_name(path):
    """What a file of the repository is called on the site."""
    special = {"README.md": "index.md", "tests/README.md": "tests.md"}
    name = special.get(path, path.removeprefix("docs/"))
    return name.lower() if "/" not in path else name


class Site:
    def __init__(self, work):
        self.source, self.work, self.wrong = work / "pages", work, []
        documents = [path.relative_to(TOP).as_posix() for path in sorted((TOP / "docs").rglob("*")) if path.is_file()]
        listed = [page for pages in KINDS.values() for page in pages]
        self.pages = ["README.md", *listed]
        self.files = {page: site_name(page) for page in [*self.pages, *documents]}
        self.wrong += [f"{page}: has no place in KINDS of site/build.py" for page in documents if page.endswith(".md") and page not in listed]
        self.wrong += [f"site/build.py: {page} is missing" for page in listed if not (TOP / page).is_file()]

    def target(self, page, link):
        """The link for the site."""
        if re.match(r"[a-z]+:|#", link):
            return link
        path, _, fragment = link.partition("#")
        wanted = os.path.normpath(os.path.join(os.path.dirname(page), path))
        if wanted in self.files:
            wanted = self.files[wanted]
        elif (TOP / wanted).is_file():  # a source: shown as it is
            place = self.source / "files" / wanted
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(TOP / wanted, place.with_name(place.name + ".txt"))
            wanted = f"files/{wanted}.txt"
        elif (TOP / wanted).is_dir() and (self.index_of(wanted)):
            wanted = self.files[self.index_of(wanted)]
        else:
            self.wrong.append(f"{page}: links to {link}, which is not there")
            return link
        return os.path.relpath(wanted, os.path.dirname(self.files[page]) or ".") + (f"#{fragment}" if fragment else "")

    def index_of(self, folder):
        """The page that stands for a folder."""
        return {"docs/spec": "docs/reference.md", "examples": "docs/examples.md"}.get(folder)

    def convert(self, page):
        text, out, place = COMMENT.sub("", (TOP / page).read_text(encoding="utf-8")), [], 0
        for block in [*FENCED.finditer(text), None]:
            prose = text[place:block.start() if block else len(text)]
            out.append(LINK.sub(lambda link: self.target(page, link[1]), prose))
            if block:
                out.append(block[0])
                place = block.end()
        return "".join(out)

    def write_sources(self):
        for path, name in self.files.items():
            place = self.source / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if path in self.pages:
                place.write_text(self.convert(path), encoding="utf-8")
            elif path.endswith((".json", *ASSETS)):
                shutil.copyfile(TOP / path, place)
        nav = [{"gvmkit": "index.md"}, *({kind: [self.files[page] for page in pages]} for kind, pages in KINDS.items())]
        config = {
            "site_name": "gvmkit", "docs_dir": str(self.source), "site_dir": str(self.work / "site"), "use_directory_urls": False, "nav": nav,
            "theme": {"name": None, "custom_dir": str(HERE / "theme")}, "plugins": ["search"],
            "markdown_extensions": ["admonition", "sane_lists", {"toc": {"toc_depth": "2-3", "permalink": "#"}},
                                    {"codehilite": {"guess_lang": False, "css_class": "code"}}],
        }
        (self.work / "mkdocs.yml").write_text(json.dumps(config), encoding="utf-8")

    def build(self):
        self.write_sources()
        if self.wrong:
            sys.exit("\n".join(self.wrong))
        subprocess.run(["mkdocs", "build", "--quiet", "--strict", "--config-file", str(self.work / "mkdocs.yml")], check=True)
        out = self.work / "site"
        for name in ("404.html", "sitemap.xml", "sitemap.xml.gz"):  # they hold the time, and addresses that nobody knows
            (out / name).unlink(missing_ok=True)
        for page in out.rglob("*.html"):  # Markdown's tables leave the backslash of an escaped bar in code
            page.write_text(re.sub(r"<code>[^<]*</code>", lambda code: code[0].replace("\\|", "|"), page.read_text(encoding="utf-8")), encoding="utf-8")
        self.write_search(out)
        return out

    def write_search(self, out):
        """The sections, as a script: a page that was opened from the disk may not fetch JSON."""
        index = json.loads((out / "search/search_index.json").read_text(encoding="utf-8"))["docs"]
        shutil.rmtree(out / "search")
        pages, sections = {}, []
        for section in index:
            page = section["location"].partition("#")[0]
            section["title"] = section["title"].replace("`", "")
            pages.setdefault(page, section["title"])
            if section["location"] != page or section["text"]:
                text = " ".join(section["text"].split()).removeprefix(section["title"] + " # ")
                sections.append([section["location"], section["title"], pages[page], text])
        script = "window.searchSections = " + json.dumps(sections, ensure_ascii=False, separators=(",", ":")) + ";\n"
        (out / "search.js").write_text(script, encoding="utf-8")


def main():
    output = pathlib.Path(sys.argv[1]).resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="docs.", dir=output.parent) as work:
        site = Site(pathlib.Path(work)).build()
        shutil.rmtree(output, ignore_errors=True)
        os.rename(site, output)


if __name__ == "__main__":
    main()
