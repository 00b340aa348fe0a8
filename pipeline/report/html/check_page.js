"use strict";
{
  const by = (id) => document.getElementById(id);
  const [controls, query, severity, part, sort, shown, grid] =
    ["controls", "query", "severity", "part", "sort", "shown", "grid"].map(by);
  const cards = [...grid.children];
  const collator = new Intl.Collator("en", { numeric: true });
  const name = (card) => card.querySelector("h3").textContent;

  const order = (key) => {
    if (key === "") return [...cards];
    if (key === "name") return [...cards].sort((a, b) => collator.compare(name(a), name(b)));
    const sign = key.startsWith("-") ? -1 : 1;
    const column = Number(key.replace("-", ""));
    const size = (card) => parseFloat(card.dataset.sizes.split(" ")[column]);
    const measured = cards.filter((card) => !Number.isNaN(size(card)));
    const others = cards.filter((card) => Number.isNaN(size(card)));
    return [...measured.sort((a, b) => sign * (size(a) - size(b))), ...others];
  };

  const filter = () => {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const card of cards) {
      const { words: text, severity: worst, part: place } = card.dataset;
      const fits = words.every((word) => text.includes(word)) &&
        (severity.value === "" || severity.value === worst) && (part.value === "" || part.value === place);
      card.hidden = !fits;
      left += fits;
    }
    const total = cards.length.toLocaleString("en");
    shown.textContent = left === cards.length
      ? `${total} case${left === 1 ? "" : "s"}` : `${left.toLocaleString("en")} of ${total} cases`;
  };

  // Show the target of a link: open the blocks around it, and reset a filter that hides it.
  const reveal = () => {
    const target = by(location.hash.slice(1));
    if (!target) return;
    for (let around = target; around; around = around.parentElement) if (around.tagName === "DETAILS") around.open = true;
    if (target.hidden) {
      controls.reset();
      filter();
      grid.append(...order(""));
    }
    target.scrollIntoView();
  };

  controls.hidden = false;
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("input", (event) => {
    if (event.target === sort) grid.append(...order(sort.value));
    else filter();
  });
  addEventListener("hashchange", reveal);
  reveal();
}
