// Keeps every [data-live] part of the page fresh from the same address; asks before what cannot be undone.
"use strict";

const EVERY = 2000;

function isBusy(part) {
  const typed = [...part.querySelectorAll("input:not([type=hidden])")].some((field) => field.value !== field.defaultValue);
  return typed || part.contains(document.activeElement);
}

async function refresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
      if (answer.ok) take(new DOMParser().parseFromString(await answer.text(), "text/html"));
      document.body.classList.toggle("away", !answer.ok);
    } catch {
      document.body.classList.add("away");
    }
  }
  setTimeout(refresh, EVERY);
}

function take(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const newer = fresh.getElementById(part.id);
    if (newer && !isBusy(part) && newer.innerHTML !== part.innerHTML) part.replaceChildren(...newer.childNodes);
  }
}

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.ask;
  if (question && !confirm(question)) event.preventDefault();
});

if (document.querySelector("[data-live]")) setTimeout(refresh, EVERY);
