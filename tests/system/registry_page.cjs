// The registry's page in Chromium: registry_page.cjs CONFIG, JSON with the server's `url`, alice's `token`, and a folder for `pictures`.
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const { chromium } = require("playwright-core");

const { url, token, pictures } = JSON.parse(process.argv[2]);
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const kinds = { desktop: { viewport: { width: 1280, height: 900 } }, phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true } };

// A context whose pages report what they may not do.
async function open(browser, options) {
  const context = await browser.newContext(options);
  const wrong = [];
  context.on("page", (page) => {
    page.on("console", (message) => wrong.push(`console: ${message.text()}`));
    page.on("pageerror", (error) => wrong.push(`error: ${error}`));
    page.on("dialog", (dialog) => wrong.push(`dialog: ${dialog.message()}`));
    page.on("request", (request) => {
      if (!request.url().startsWith(url + "/") && !request.url().startsWith("data:")) wrong.push(`request: ${request.url()}`);
    });
  });
  return { context, page: await context.newPage(), wrong };
}

// Looks at a page as it is: what axe finds, whether it is wider than the window, and a picture of it.
async function look(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  assert.deepStrictEqual(violations.map((one) => [name, one.id, one.nodes.map((node) => node.html.slice(0, 200))]), []);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= page.viewportSize().width, `${name} is ${wide} pixels wide`);
  await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
}

async function read(browser, kind, colorScheme) {
  const { context, page, wrong } = await open(browser, { ...kinds[kind], colorScheme });
  const name = (what) => `${what}-${kind}-${colorScheme}`;
  await page.goto(url + "/");
  await look(page, name("browse"));
  await page.getByRole("searchbox", { name: "Search images" }).fill("TOOL");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByRole("link", { name: "alice/tools" }).click();
  await page.getByRole("heading", { level: 1, name: /tools/ }).waitFor();
  await look(page, name("image"));
  await page.getByRole("link", { name: "Files" }).click();
  await page.getByRole("link", { name: "srv/" }).click();
  await page.getByRole("link", { name: "app/" }).click();
  await look(page, name("folder"));
  await page.getByRole("link", { name: "main.py" }).click();
  await page.getByText("Renders a frame.").waitFor();
  await look(page, name("file"));
  await page.getByRole("link", { name: "Changes" }).click();
  await page.getByText("3 added, 1 removed").waitFor();
  await look(page, name("changes"));
  await page.getByRole("link", { name: "Checks" }).click();
  await page.getByRole("heading", { name: /Note/ }).first().waitFor();
  await look(page, name("checks"));
  await page.goto(url + "/image/alice/nothing");
  await look(page, name("missing"));
  for (const path of ["/image/mallory/x", "/image/mallory/x/files/tree"]) {
    await page.goto(url + path);
    await look(page, name("hostile" + path.split("/").length));
    for (const target of await page.locator("a, code, td, th").all()) await target.dispatchEvent("mouseover");
    assert.strictEqual(await page.evaluate(() => window.hostile), undefined);
  }
  assert.deepStrictEqual(wrong.filter((text) => !text.includes("404")), []);
  await context.close();
}

// One request for HTML and one for the style come before the first paint; the others are our own.
async function requests(browser) {
  const { context, page } = await open(browser, kinds.desktop);
  let bytes = 0;
  const seen = [];
  page.on("requestfinished", async (request) => seen.push(request));
  await page.goto(url + "/image/alice/tools", { waitUntil: "networkidle" });
  for (const request of seen) {
    const sizes = await request.sizes();
    bytes += sizes.responseBodySize;
  }
  const kindsSeen = seen.map((request) => request.resourceType()).sort();
  console.log(`the first page: ${seen.length} requests (${kindsSeen}), ${bytes} bytes`);
  assert.ok(seen.length <= 4 && bytes < 60 << 10);
  assert.strictEqual(kindsSeen.filter((kind) => kind === "stylesheet").length, 1);
  await context.close();
}

async function copying(browser) {
  const { context, page } = await open(browser, kinds.desktop);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(url + "/image/alice/tools");
  for (const [label, wanted] of [["yapapi", /^package = await vm\.repo\(image_tag="alice\/tools:1\.1"/], ["golem-js", /^demand: /],
    ["a shell", /gvmi pull alice\/tools:1\.1$/], ["the hash", /^[0-9a-f]{56}$/]]) {
    await page.getByRole("button", { name: `Copy the line for ${label}` }).click();
    await page.getByRole("status").filter({ hasText: "Copied" }).waitFor();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), wanted);
    await page.getByRole("button", { name: `Copy the line for ${label}` }).waitFor();  // it says so again
  }
  await context.close();
}

// Signs in, makes a token, revokes it, makes a repository private and public again, deletes a tag, and signs out.
async function account(browser, kind, colorScheme) {
  const { context, page, wrong } = await open(browser, { ...kinds[kind], colorScheme });
  const name = (what) => `${what}-${kind}-${colorScheme}`;
  await page.goto(url + "/");
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.getByLabel("User name").fill("alice");
  await page.getByLabel("Access token").fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  await look(page, name("sign-in"));
  await page.getByLabel("Access token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { level: 1, name: "alice" }).waitFor();
  await page.getByLabel("What it is for").fill("CI");
  await page.getByRole("button", { name: "Make a token" }).click();
  await page.getByText("it cannot be shown again").waitFor();
  await look(page, name("account"));
  await page.getByRole("row", { name: "CI" }).getByRole("button", { name: "Revoke" }).click();
  await page.waitForURL(url + "/account");
  assert.strictEqual(await page.getByRole("row", { name: "CI" }).count(), 0);
  await page.getByLabel("A new repository").fill(`new-${kind}`);
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByText("Nothing has been pushed here yet").waitFor();
  await look(page, name("empty"));
  await page.getByText("Delete…").click();
  await page.getByRole("button", { name: `Delete alice/new-${kind}` }).click();
  await page.waitForURL(url + "/account");
  await page.goto(url + "/image/alice/tools");
  await page.getByText("Make private…").click();
  await page.getByRole("button", { name: "Make private" }).click();
  await page.getByRole("heading", { level: 1 }).getByText("private", { exact: true }).waitFor();
  await look(page, name("private"));
  const stranger = await browser.newContext();
  assert.strictEqual((await stranger.request.get(url + "/image/alice/tools")).status(), 404);
  const link = await page.getByRole("link", { name: "Download" }).getAttribute("href");
  assert.strictEqual((await stranger.request.head(url + link)).status(), 200);
  await page.getByText("Make public…").click();
  await page.getByRole("button", { name: "Make public" }).click();
  await page.getByText("Make private…").waitFor();
  assert.strictEqual((await stranger.request.get(url + "/image/alice/tools")).status(), 200);
  assert.strictEqual((await stranger.request.head(url + link)).status(), 404);
  await stranger.close();
  await page.getByText("Delete…").click();
  await look(page, name("delete"));
  if (kind === "phone") {
    await page.getByRole("button", { name: "Delete alice/tools:1.0" }).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Delete alice/tools:1.1" }).click();
    await page.waitForURL(url + "/image/alice/tools");
    await page.getByText("1.0", { exact: true }).first().waitFor();
  }
  await page.goto(url + "/account");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(url + "/");
  await page.getByRole("link", { name: "Sign in" }).waitFor();
  assert.deepStrictEqual(wrong.filter((text) => !text.includes("401")), []);
  await context.close();
}

// Everything that is read can be read without a script, and reached by keys.
async function withoutScript(browser) {
  const { context, page } = await open(browser, { ...kinds.desktop, javaScriptEnabled: false });
  await page.goto(url + "/image/alice/tools");
  assert.strictEqual(await page.getByRole("button", { name: /^Copy/ }).count(), 0);
  await page.getByRole("link", { name: "Files" }).click();
  await page.getByRole("link", { name: "etc/" }).click();
  await page.getByRole("link", { name: "passwd" }).click();
  await page.getByText("root:x:0:0").waitFor();
  await context.close();
}

async function byKeys(browser) {
  const { context, page } = await open(browser, kinds.desktop);
  await page.goto(url + "/");
  await page.keyboard.press("Tab");
  assert.strictEqual(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.strictEqual(await page.evaluate(() => document.activeElement.id), "main");
  await page.keyboard.press("/");
  await page.keyboard.type("tools");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=tools/);
  await context.close();
}

(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    for (const kind of Object.keys(kinds)) for (const scheme of ["light", "dark"]) await read(browser, kind, scheme);
    await requests(browser);
    await copying(browser);
    await withoutScript(browser);
    await byKeys(browser);
    await account(browser, "desktop", "dark");
    await account(browser, "phone", "light");
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
