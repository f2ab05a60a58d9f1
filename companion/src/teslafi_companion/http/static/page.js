// What pages can do better with JavaScript; all of them work without it.

for (const time of document.querySelectorAll("time[data-shown]")) {
  const how = {
    moment: { dateStyle: "long", timeStyle: "short" },
    hour: { timeStyle: "short" },
  }[time.dataset.shown];
  time.title = time.textContent;
  time.textContent = new Intl.DateTimeFormat(document.documentElement.lang, how).format(new Date(time.dateTime));
}

for (const field of document.querySelectorAll("input[data-show]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain";
  button.textContent = field.dataset.show;
  button.addEventListener("click", () => {
    const shown = field.type === "text";
    field.type = shown ? "password" : "text";
    button.textContent = shown ? field.dataset.show : field.dataset.hide;
  });
  field.form?.addEventListener("submit", () => {
    field.type = "password";
  });
  field.after(button);
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const items = [...document.getElementById(button.dataset.copy).children];
    await navigator.clipboard.writeText(items.map((item) => item.textContent).join("\n"));
    button.textContent = button.dataset.done;
  });
}

for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
