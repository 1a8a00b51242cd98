// Draws a picture and what was found on it, and says what lies under the pointer.

import { figureOf } from "../figure.js";
import { inkFrame, inkLabel, inkObject } from "../ink.js";

const MOST_LABELS = 60; // above it the labels would hide the picture; the one pointed at keeps its own

/** Return each item with its figure: the mask where there is one, else the box; none for a tag. */
export function figures(items) {
  return items.map((item) => {
    if (item.tag) return null;
    return figureOf(item.mask ? { kind: "mask", ...item.mask } : { kind: "box", xyxy: item.box });
  });
}

export class Drawing {
  constructor(host, view) {
    this.view = view;
    this.figures = [];
    [this.base, this.top] = ["base", "top"].map((name) => {
      const canvas = document.createElement("canvas");
      canvas.className = `ol-layer ol-${name}`;
      canvas.setAttribute("aria-hidden", "true");
      host.append(canvas);
      return canvas.getContext("2d");
    });
  }

  resize() {
    const { width, height, dpr } = this.view;
    for (const { canvas } of [this.base, this.top]) {
      canvas.width = Math.max(1, Math.round(width * dpr));
      canvas.height = Math.max(1, Math.round(height * dpr));
    }
  }

  picture(image, picture) {
    const { view, base: ctx } = this;
    this.#clear(ctx);
    if (!image) return;
    view.apply(ctx);
    ctx.fillStyle = "rgba(128,128,128,.18)";
    ctx.fillRect(0, 0, image.width, image.height);
    if (!picture) return;
    ctx.imageSmoothingEnabled = (view.scale * view.dpr * image.width) / picture.width <= 2;
    picture.draw(ctx, view.window(), image.width, image.height, view.scale * view.dpr);
  }

  found(findings, { hovered, region, drawn }) {
    const { view, top: ctx } = this, k = view.scale;
    this.#clear(ctx);
    const seen = this.#seen(findings).sort((a, b) => this.figures[b].area - this.figures[a].area);
    view.apply(ctx);
    for (const n of seen) {
      const kept = findings.kept(n), object = { figure: this.figures[n], draft: !kept };
      if (hovered.includes(n)) inkObject(ctx, object, kept ? findings.colour(n) : "#8a94a6", k, { fill: 0.45, line: 3, halo: true });
      else inkObject(ctx, object, kept ? findings.colour(n) : "#8a94a6", k, { fill: kept ? 0.3 : 0, line: kept ? 2 : 1.25 });
    }
    ctx.setTransform(view.dpr, 0, 0, view.dpr, 0, 0);
    for (const n of seen) if (findings.kept(n)) this.#points(ctx, findings.items[n].points, findings.colour(n));
    const labelled = seen.filter((n) => findings.kept(n));
    const written = labelled.length <= MOST_LABELS ? labelled : [];
    const over = hovered.filter((n) => seen.includes(n));
    for (const n of [...written.filter((m) => !over.includes(m)), ...over]) this.#label(ctx, findings, n);
    if (region) this.#shade(ctx, region);
    if (region ?? drawn) inkFrame(ctx, view, drawn ?? region);
  }

  /** The number of the smallest thing at a place of the image, or null. */
  at(findings, x, y) {
    const hits = this.#seen(findings).filter((n) => this.figures[n].hit(x, y));
    return hits.sort((a, b) => this.figures[a].area - this.figures[b].area)[0] ?? null;
  }

  #seen(findings) {
    return findings.reaching().filter((n) => this.figures[n]?.box && !findings.off.has(findings.items[n].name));
  }

  #clear(ctx) {
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, ctx.canvas.width, ctx.canvas.height);
  }

  #label(ctx, findings, n) {
    const { name, score } = findings.items[n], figure = this.figures[n];
    const text = findings.graded ? `${name} ${score.toFixed(2)}` : name;
    inkLabel(ctx, this.view, { class: text, figure }, findings.kept(n) ? findings.colour(n) : "#8a94a6");
  }

  #points(ctx, points, colour) {
    for (const [x, y, seen, score] of points ?? []) {
      if (!seen) continue;
      const [sx, sy] = this.view.toScreen(x, y);
      ctx.globalAlpha = 0.35 + 0.65 * Math.min(1, score ?? 1);
      ctx.beginPath();
      ctx.arc(sx, sy, 4, 0, 2 * Math.PI);
      ctx.fillStyle = seen === 1 ? "rgba(255,255,255,.85)" : colour;
      ctx.fill();
      ctx.lineWidth = 1.5;
      ctx.strokeStyle = seen === 1 ? colour : "#fff";
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
  }

  /** Darken all but the region. */
  #shade(ctx, region) {
    const { view } = this, [x0, y0] = view.toScreen(region[0], region[1]), [x1, y1] = view.toScreen(region[2], region[3]);
    ctx.fillStyle = "rgba(10,14,22,.45)";
    ctx.beginPath();
    ctx.rect(0, 0, view.width, view.height);
    ctx.rect(x0, y0, x1 - x0, y1 - y0);
    ctx.fill("evenodd");
  }
}
