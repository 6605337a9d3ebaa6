// The menu on a phone, the search and the buttons that copy. Pages are complete without it.
"use strict";
const base = document.currentScript.dataset.base;
const byId = (id) => document.getElementById(id);
document.documentElement.classList.add("scripted");

const menu = byId("menu");
const pages = byId("pages");
menu.hidden = false;
menu.addEventListener("click", () => menu.setAttribute("aria-expanded", String(pages.classList.toggle("open"))));
const current = pages.querySelector("[aria-current]");
if (current) pages.scrollTop = current.offsetTop - pages.offsetTop - pages.clientHeight / 2;

for (const table of document.querySelectorAll("main table")) {
  const frame = document.createElement("div");
  frame.className = "table";
  table.replaceWith(frame);
  frame.append(table);
}
// What scrolls must be reached by the keyboard.
for (const scrolls of document.querySelectorAll("main pre, main .table")) if (scrolls.scrollWidth > scrolls.clientWidth) scrolls.tabIndex = 0;
for (const block of document.querySelectorAll("main pre")) {
  const frame = document.createElement("div");
  const button = document.createElement("button");
  frame.className = "copied";
  button.type = "button";
  button.textContent = "Copy";
  block.replaceWith(frame);
  frame.append(block, button);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

const query = byId("query");
const found = byId("found");
query.hidden = false;

// The sections are fetched at the first search.
let loading = null;
function sections() {
  loading ||= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `${base}/search.js`;
    script.onload = () => resolve(window.searchSections);
    script.onerror = reject;
    document.head.append(script);
  });
  return loading;
}

// Only sections with all words count; a word in a title counts most.
function score(words, [, title, page, text]) {
  const [inTitle, inPage, inText] = [title, page, text].map((part) => part.toLowerCase());
  let sum = 0;
  for (const word of words) {
    const places = (inTitle.includes(word) ? 12 : 0) + (inPage.includes(word) ? 5 : 0) + Math.min(4, inText.split(word).length - 1);
    if (places === 0) return 0;
    sum += places;
  }
  return sum;
}

function marked(element, text, words) {
  const pattern = new RegExp(`(${words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "gi");
  text.split(pattern).forEach((part, number) => {
    if (number % 2 === 0) return element.append(part);
    const mark = document.createElement("mark");
    mark.textContent = part;
    return element.append(mark);
  });
  return element;
}

function excerpt(text, words) {
  const first = Math.min(...words.map((word) => text.toLowerCase().indexOf(word)).filter((at) => at >= 0), text.length);
  const start = first < 60 || first === text.length ? 0 : text.indexOf(" ", first - 50) + 1;
  return (start > 0 ? "… " : "") + text.slice(start, start + 150) + (start + 150 < text.length ? " …" : "");
}

async function search() {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  found.hidden = words.length === 0;
  if (words.length === 0) return;
  const all = await sections();
  const best = all.map((section) => [score(words, section), section]).filter(([points]) => points > 0);
  best.sort((a, b) => b[0] - a[0]);
  found.replaceChildren(...best.slice(0, 12).map(([, [location, title, page, text]]) => {
    const link = document.createElement("a");
    link.href = `${base}/${location}`;
    const name = document.createElement("b");
    name.textContent = title === page ? page : `${page}: ${title}`;
    link.append(name, marked(document.createElement("span"), excerpt(text, words), words));
    return link;
  }));
  if (best.length === 0) {
    const nothing = document.createElement("p");
    nothing.textContent = "No section has all of these words.";
    found.append(nothing);
  }
}

query.addEventListener("input", search);
query.addEventListener("focus", search);
query.addEventListener("keydown", (event) => { if (event.key === "Enter") found.querySelector("a")?.click(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { found.hidden = true; query.blur(); }
  if (event.key === "/" && !/input|textarea/i.test(document.activeElement.tagName)) { event.preventDefault(); query.focus(); }
});
document.addEventListener("click", (event) => { if (!event.target.closest(".search")) found.hidden = true; });
