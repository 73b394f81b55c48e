// The page is whole without this: it shows one sample user at a time and sorts tables by a column.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");

  const people = [...document.querySelectorAll(".person")];
  const tabs = document.querySelector(".tabs");
  if (tabs && people.length > 1) {
    const buttons = people.map((person, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.id = `tab-${at}`;
      button.setAttribute("role", "tab");
      button.setAttribute("aria-controls", person.id);
      const [name, note] = [document.createElement("strong"), document.createElement("span")];
      name.textContent = person.dataset.user;
      note.textContent = person.dataset.note;
      button.append(name, note);
      person.setAttribute("role", "tabpanel");
      person.setAttribute("aria-labelledby", button.id);
      tabs.append(button);
      return button;
    });
    const show = (chosen) => people.forEach((person, at) => {
      person.classList.toggle("off", at !== chosen);
      buttons[at].setAttribute("aria-selected", String(at === chosen));
      buttons[at].tabIndex = at === chosen ? 0 : -1;
    });
    const named = () => people.findIndex((person) => `#${person.id}` === location.hash);
    buttons.forEach((button, at) => {
      button.addEventListener("click", () => show(at));
      button.addEventListener("keydown", (event) => {
        const last = people.length - 1;
        const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at ? at - 1 : last, Home: 0, End: last }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        show(to);
        buttons[to].focus();
      });
    });
    tabs.hidden = false;
    show(Math.max(0, named()));
    addEventListener("hashchange", () => { if (named() >= 0) show(named()); });
  }

  for (const table of document.querySelectorAll("table[data-sort]")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    if (body.rows.length < 3) continue;
    heads.forEach((head, column) => {
      if (!head.dataset.key) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...[...head.childNodes].filter((node) => !(node.classList && node.classList.contains("note"))));
      head.prepend(button);
      button.addEventListener("click", () => {
        const falling = head.getAttribute("aria-sort") !== "descending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        const value = (row) => {
          const cell = row.cells[column];
          return cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
        };
        const missing = (text) => text === "" || text === "–";
        const rows = [...body.rows].sort((a, b) => {
          const [x, y] = [value(a), value(b)];
          if (missing(x) || missing(y)) return missing(x) - missing(y);
          const order = head.dataset.key === "number" ? Number(x) - Number(y) : x.localeCompare(y);
          return falling ? -order : order;
        });
        body.append(...rows);
      });
    });
  }

  // Only what can be scrolled need be reached by the keyboard.
  const boxes = [...document.querySelectorAll(".scroll")];
  const reach = () => boxes.forEach((box) => { box.tabIndex = box.scrollWidth > box.clientWidth ? 0 : -1; });
  reach();
  addEventListener("resize", reach);

  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
})();
