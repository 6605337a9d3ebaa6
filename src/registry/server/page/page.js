// What works only with a script: copy buttons, and "/" for the search. Everything else on the page needs none.
"use strict";
const said = document.getElementById("said");

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // By plain http there is no clipboard.
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  const good = document.execCommand("copy");
  field.remove();
  if (!good) throw new Error("not copied");
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  const content = [...button.childNodes];
  let timer;
  button.addEventListener("click", async () => {
    let result = "Copied";
    try {
      await copy(button.dataset.copy);
    } catch {
      result = "Not copied";
    }
    clearTimeout(timer);
    button.replaceChildren(result);
    button.classList.add("done");
    said.textContent = result;
    button.focus();
    timer = setTimeout(() => {
      button.replaceChildren(...content);
      button.classList.remove("done");
      said.textContent = "";
    }, 2000);
  });
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  event.preventDefault();
  document.getElementById("q").focus();
});
