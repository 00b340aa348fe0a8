// Open cases from points, links and keys; choose the metric; sort the cases.
{
  const by = (id) => document.getElementById(id);
  const list = by("case-list"), readout = by("readout");
  const names = new Map([...document.querySelectorAll("#cases .legend li")].map((entry) => [
    entry.querySelector(".swatch").className.split(" ").find((name) => /^s\d+$/.test(name)), entry.textContent]));
  const nameOf = (value) => names.get(`s${value}`) ?? String(value);
  let current = null;

  const press = (buttons, chosen) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button === chosen));
  };

  const showViewer = (details) => {
    const button = details.querySelector(".open-viewer");
    if (!button || !caseViewer.possible()) return;
    button.hidden = true;
    caseViewer.show(details, nameOf);
  };

  const leave = (details) => {
    details.classList.remove("current");
    caseViewer.leave(details);
    const button = details.querySelector(".open-viewer");
    if (button) button.hidden = !caseViewer.possible();
  };

  const openCase = (details) => {
    if (current && current !== details) {
      leave(current);
      current.open = false;
    }
    current = details;
    details.open = true;
    details.classList.add("current");
    details.scrollIntoView({ block: "start" });
    details.querySelector("summary").focus({ preventScroll: true });
    history.replaceState(null, "", `#${details.id}`);
    showViewer(details);
  };

  const cases = () => (list ? [...list.children].filter((one) => one.classList.contains("case")) : []);

  const step = (by) => {
    const all = cases();
    const focused = document.activeElement.closest?.(".case");
    const at = all.indexOf(current ?? focused);
    const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by;
    if (all[next]) openCase(all[next]);
  };

  const target = () => {
    const found = by(decodeURIComponent(location.hash.slice(1)));
    if (found?.classList.contains("case")) openCase(found);
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest(".to-case");
    const found = link && by(link.getAttribute("href").slice(1));
    if (found) {
      event.preventDefault();
      openCase(found);
      return;
    }
    const summary = event.target.closest(".case > summary");
    if (summary) {
      event.preventDefault();
      const details = summary.parentElement;
      if (!details.open || (details !== current && event.detail > 1)) openCase(details);
      else {
        leave(details);
        details.open = false;
        if (current === details) current = null;
      }
      return;
    }
    const button = event.target.closest(".open-viewer button");
    if (button) {
      const details = button.closest(".case");
      if (current && current !== details) leave(current);
      current = details;
      details.classList.add("current");
      showViewer(details);
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, canvas, pre, .scroll, .points")) return;
    const onCase = event.target.closest(".case > summary");
    const way = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1, ...(onCase ? { ArrowDown: 1, ArrowUp: -1 } : {}) }[event.key];
    if (way && list) {
      event.preventDefault();
      step(way);
    }
  });

  // Points: one stop of the tab key per row; arrow keys go through its points.
  for (const row of document.querySelectorAll(".points")) {
    const points = [...row.querySelectorAll("a.mark")];
    points.forEach((point, index) => point.setAttribute("tabindex", index ? "-1" : "0"));
    row.addEventListener("keydown", (event) => {
      const at = points.indexOf(document.activeElement);
      const way = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (at < 0 || !way) return;
      event.preventDefault();
      const next = points[Math.min(Math.max(at + way, 0), points.length - 1)];
      points[at].setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    });
  }
  const say = (point, on) => {
    readout.textContent = on ? point.getAttribute("aria-label") : "\u00a0";
    for (const same of document.querySelectorAll(`a.mark[href="${point.getAttribute("href")}"]`)) same.classList.toggle("same", on);
  };
  for (const [name, on] of [["pointerover", true], ["pointerout", false], ["focusin", true], ["focusout", false]]) {
    document.addEventListener(name, (event) => {
      const point = event.target.closest?.("a.mark");
      if (point && readout) say(point, on);
    });
  }

  const metrics = by("metric-choices");
  if (metrics && metrics.children.length > 1) {
    metrics.hidden = false;
    const buttons = [...metrics.children];
    const choose = (chosen) => {
      press(buttons, chosen);
      for (const button of buttons) by(button.dataset.panel).hidden = button !== chosen;
    };
    metrics.addEventListener("click", (event) => {
      if (event.target.dataset.panel) choose(event.target);
    });
    choose(buttons[0]);
  }

  const sorts = by("case-choices");
  if (sorts && cases().length > 1) {
    sorts.hidden = false;
    by("case-help").hidden = false;
    const collator = new Intl.Collator("en", { numeric: true });
    const name = (one) => one.querySelector(".name").textContent;
    const orders = {
      rank: (a, b) => a.dataset.rank - b.dataset.rank,
      name: (a, b) => collator.compare(name(a), name(b)),
      gap: (a, b) => (b.dataset.gap || -1) - (a.dataset.gap || -1),
    };
    sorts.addEventListener("click", (event) => {
      const order = orders[event.target.dataset.sort];
      if (!order) return;
      press([...sorts.children], event.target);
      list.append(...cases().sort(order));
    });
  }

  for (const button of document.querySelectorAll(".open-viewer")) button.hidden = !caseViewer.possible();
  addEventListener("hashchange", target);
  target();
}
