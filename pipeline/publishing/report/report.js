(() => {
  const tools = document.querySelector(".tools");
  const body = document.querySelector(".ranges tbody");
  if (!tools || !body) return;
  const rows = [...body.rows];
  const cards = new Map([...document.querySelectorAll(".card")].map((card) => [card.dataset.symbol, card]));
  const wanted = tools.querySelector("input[type=search]");
  const doubtful = tools.querySelector("input[type=checkbox]");
  const count = tools.querySelector("output");

  const filter = () => {
    const text = wanted.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = row.dataset.symbol.toLowerCase().includes(text) && (!doubtful.checked || row.dataset.warnings !== "0");
      row.hidden = !fits;
      const card = cards.get(row.dataset.symbol);
      if (card) card.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown === rows.length ? "" : `${shown} of ${rows.length}`;
  };

  const value = (row, key) => {
    const text = row.dataset[key];
    return text === undefined || text === "" ? null : key === "symbol" ? text : Number(text);
  };
  const sort = (heading) => {
    const key = heading.dataset.key;
    const down = heading.getAttribute("aria-sort") === (key === "symbol" ? "ascending" : "none");
    for (const other of body.parentElement.querySelectorAll("[data-key]")) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const order = down ? -1 : 1;
    rows.sort((one, other) => {
      const [a, b] = [value(one, key), value(other, key)];
      if (a === null || b === null) return (a === null) - (b === null);
      return order * (key === "symbol" ? a.localeCompare(b) : a - b);
    });
    body.append(...rows);
  };

  wanted.addEventListener("input", filter);
  doubtful.addEventListener("change", filter);
  for (const heading of body.parentElement.querySelectorAll("[data-key]")) {
    heading.querySelector("button").addEventListener("click", () => sort(heading));
  }
  tools.hidden = false;
  filter();
})();
