// Makes the pages nicer; every one of them works without it.
"use strict";

for (const time of document.querySelectorAll("time[datetime]")) {
  const options = { dateStyle: "medium", timeStyle: "short" };
  const written = new Intl.DateTimeFormat(document.documentElement.lang, options);
  time.title = time.textContent;
  time.textContent = written.format(new Date(time.dateTime));
}

for (const button of document.querySelectorAll("button.copy")) {
  const source = document.getElementById(button.dataset.copy);
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const parts = source.children.length ? [...source.children] : [source];
    const glue = source.tagName === "OL" ? "\n" : "";
    await navigator.clipboard.writeText(parts.map((part) => part.textContent.trim()).join(glue));
    button.textContent = button.dataset.done;
    button.setAttribute("aria-live", "polite");
  });
}

for (const button of document.querySelectorAll("button.print")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// A form is sent once: the second press of a hurried finger is not sent at all.
for (const form of document.querySelectorAll('form[method="post"]')) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent && !form.action.endsWith("/download")) event.preventDefault();
    form.dataset.sent = "yes";
    form.classList.add("sent");
  });
}
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form")) {
    delete form.dataset.sent;
    form.classList.remove("sent");
  }
});

const code = document.querySelector("input.code");
if (code) {
  code.addEventListener("input", () => {
    const digits = code.value.replace(/\D/g, "");
    if (digits.length === 6 && code.dataset.tried !== digits) {
      code.dataset.tried = digits;
      code.form.requestSubmit();
    }
  });
}
