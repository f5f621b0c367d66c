(() => {
  // Within another page's frame a link that leaves may not open a window itself: the page around it does.
  const leave = (event) => {
    const link = event.target.closest?.("a[target]");
    if (!link || window.parent === window) return;
    event.preventDefault();
    window.parent.open(link.href, "_blank", "noopener");
  };
  document.addEventListener("click", leave);
  const frame = document.querySelector("iframe");
  const watch = () => frame.contentDocument?.addEventListener("click", leave);
  if (frame) {
    frame.addEventListener("load", watch);
    watch();
  }
  const wanted = document.querySelector("input[data-filter]");
  wanted?.addEventListener("input", () => {
    const text = wanted.value.trim().toLowerCase();
    for (const row of document.querySelectorAll("tr[data-symbol]")) {
      row.hidden = !row.dataset.symbol.toLowerCase().includes(text);
    }
  });
})();
