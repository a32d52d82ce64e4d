"use strict";
// Draws each chart when it comes near the window, and again when the reader's colour scheme changes.
(() => {
  const themes = JSON.parse(document.getElementById("themes").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const views = new Map();
  window.frogViews = views;

  async function draw(place) {
    const scheme = dark.matches ? "dark" : "light";
    const spec = JSON.parse(document.getElementById(place.id.replace("chart-", "spec-")).textContent);
    // What the reader has chosen stays chosen.
    const before = views.get(place.id);
    if (before) {
      for (const param of spec.params ?? []) {
        if ("value" in param) param.value = before.signal(param.name);
      }
      before.finalize();
    }
    const result = await vegaEmbed(place, spec, {
      config: themes[scheme],
      renderer: "svg",
      actions: { export: true, source: false, compiled: false, editor: false },
      tooltip: { theme: scheme },
    });
    views.set(place.id, result.view);
  }

  const drawing = new Map();
  function drawOnce(place) {
    if (!drawing.has(place.id)) drawing.set(place.id, draw(place));
    return drawing.get(place.id);
  }
  const places = [...document.querySelectorAll(".chart")];
  window.frogDrawAll = () => Promise.all(places.map(drawOnce));

  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        observer.unobserve(entry.target);
        drawOnce(entry.target);
      }
    }
  }, { rootMargin: "600px" });
  places.forEach((place) => observer.observe(place));
  dark.addEventListener("change", () => {
    for (const place of places) if (views.has(place.id)) drawing.set(place.id, draw(place));
  });
  window.addEventListener("beforeprint", window.frogDrawAll);
})();
