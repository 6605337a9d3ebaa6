"""Pages in headless Chromium, Debian's, driven by Playwright and examined by axe-core; both come from npm, once, into the build cache."""

import json
import os
import shutil
import subprocess

import other_clients

NPM_PACKAGES = ["playwright-core@1.65.1", "axe-core@4.14.1"]
PHONE = {"width": 390, "height": 844, "phone": True}
DESKTOP = {"width": 1440, "height": 900}


def chromium():
    """The program, or None."""
    return shutil.which("chromium")


def folder():
    """A folder in which node finds the packages."""
    def make(place):
        other_clients.run("npm", "install", "--prefix", place, "--ignore-scripts", "--no-audit", "--no-fund", *NPM_PACKAGES,
                          env=dict(os.environ, PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD="1"))
    return other_clients.cached("browser", NPM_PACKAGES, make)


def visit(*visits):
    """What was seen, one dictionary for each visit: requests, failed, errors, violations (of axe), title, text and overflow (pixels that are
    wider than the window). A visit has a url and may have width, height, phone, dark, steps ([method of Playwright's locator, selector, value])
    and the path of a screenshot, with `full` of all of the page."""
    done = subprocess.run(["node", os.path.join(os.path.dirname(os.path.abspath(__file__)), "browser.cjs")], input=json.dumps(visits), text=True,
                          capture_output=True, cwd=folder(), env=dict(os.environ, CHROMIUM=chromium()), timeout=600, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def serious(seen):
    """The findings of axe that count."""
    return [finding for finding in seen["violations"] if finding["impact"] in ("serious", "critical")]
