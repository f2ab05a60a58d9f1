// What pages can do better with JavaScript; all of them work without it.

for (const time of document.querySelectorAll("time[data-shown]")) {
  const how = {
    moment: { dateStyle: "long", timeStyle: "short" },
    hour: { timeStyle: "short" },
  }[time.dataset.shown];
  time.title = time.textContent;
  time.textContent = new Intl.DateTimeFormat(document.documentElement.lang, how).format(new Date(time.dateTime));
}

// Times are the visitor's own by now: what happened late in the evening is not of the next day.
for (const days of document.querySelectorAll("[data-days]")) {
  const written = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "full" });
  const groups = [];
  let shown;
  for (const row of days.querySelectorAll("li")) {
    const day = written.format(new Date(row.querySelector("time").dateTime));
    if (day !== shown) {
      const heading = document.createElement("h2");
      const rows = document.createElement("ul");
      heading.textContent = shown = day;
      rows.className = "rows";
      groups.push(heading, rows);
    }
    groups.at(-1).append(row);
  }
  if (groups.length) days.replaceChildren(...groups);
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
