// What the page does without the server: marks, scrolling, arrow keys.
window.hfMer = {
  // Results of an input that has changed since.
  stale: (...names) => names.forEach((name) => document.getElementById(name)?.setAttribute("data-stale", "")),
  fresh: (...names) => names.forEach((name) => document.getElementById(name)?.removeAttribute("data-stale")),

  // Brings the first of these into view that is there, unless its beginning is seen already.
  show: (...selectors) =>
    setTimeout(() => {
      const found = selectors.map((selector) => [...document.querySelectorAll(selector)].pop()).find(Boolean);
      if (!found) return;
      const { top } = found.getBoundingClientRect();
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      if (top < 0 || top > innerHeight / 2)
        found.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
    }, 100),
};

document.addEventListener("input", ({ target }) => {
  const edits = "hm-edits-";
  const names = [...(target.closest?.(`[class*="${edits}"]`)?.classList ?? [])].filter((name) => name.startsWith(edits));
  window.hfMer.stale(...names.map((name) => name.slice(edits.length)));
});

document.addEventListener("keydown", (event) => {
  const tab = event.target.closest?.('[role="tab"]');
  if (!tab) return;
  const tabs = [...tab.closest('[role="tablist"]').querySelectorAll('[role="tab"]')];
  const at = tabs.indexOf(tab);
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const chosen = tabs[next % tabs.length];
  chosen.focus();
  chosen.click();
});
