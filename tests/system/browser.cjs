// Visits pages in headless Chromium: browser.cjs, with a JSON list of visits on standard input (browser.py). Prints the list of what was seen.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");
const here = createRequire(process.cwd() + "/");
const { chromium } = here("playwright-core");
const axe = readFileSync(here.resolve("axe-core/axe.min.js"), "utf8");

async function visit(browser, { url, width = 1280, height = 900, dark = false, phone = false, steps = [], screenshot, full = false }) {
  const context = await browser.newContext({
    viewport: { width, height }, colorScheme: dark ? "dark" : "light", hasTouch: phone, isMobile: phone, reducedMotion: "reduce",
  });
  const page = await context.newPage();
  const seen = { url, requests: [], failed: [], errors: [] };
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("response", (response) => { if (response.status() >= 400) seen.failed.push(response.url()); });
  page.on("requestfailed", (request) => seen.failed.push(request.url()));
  page.on("console", (message) => { if (message.type() === "error") seen.errors.push(message.text()); });
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  await page.goto(url, { waitUntil: "load" });
  for (const [action, selector, value] of steps) await page.locator(selector).first()[action](...(value === undefined ? [] : [value]));
  if (screenshot) await page.screenshot({ path: screenshot, fullPage: full });
  await page.evaluate(axe);
  // preload would fetch the style sheets once more
  const found = await page.evaluate("axe.run({resultTypes: ['violations'], preload: false})");
  seen.violations = found.violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, nodes: nodes.map((node) => node.target.join(" ")) }));
  seen.title = await page.title();
  seen.text = await page.evaluate("document.body.innerText");
  seen.overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
  await context.close();
  return seen;
}

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const seen = [];
    for (const each of JSON.parse(readFileSync(0, "utf8"))) seen.push(await visit(browser, each));
    console.log(JSON.stringify(seen));
  } finally {
    await browser.close();
  }
}

main().catch((error) => { console.error(error); process.exit(1); });
