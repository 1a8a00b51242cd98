// The strokes everything is drawn with.

const FONT = "12px system-ui, -apple-system, 'Segoe UI', sans-serif";

/** Draw an object in image space: `fill` opacity, `line` in screen pixels, `halo` for a pale rim around it. */
export function inkObject(ctx, object, colour, scale, { fill, line, halo = false }) {
  const { path, kind } = object.figure, rule = kind === "mask" ? "evenodd" : "nonzero";
  const strength = kind === "mask" ? fill : fill * 0.55;
  if (strength > 0) {
    ctx.globalAlpha = strength;
    ctx.fillStyle = colour;
    ctx.fill(path, rule);
  }
  ctx.globalAlpha = halo ? 0.9 : 0.95;
  ctx.lineJoin = "round";
  if (halo) {
    ctx.lineWidth = (line + 2) / scale;
    ctx.strokeStyle = "rgba(255,255,255,.92)";
    ctx.stroke(path);
  }
  ctx.globalAlpha = 0.95;
  ctx.lineWidth = line / scale;
  ctx.strokeStyle = colour;
  if (object.draft) ctx.setLineDash([6 / scale, 4 / scale]);
  ctx.stroke(path);
  ctx.setLineDash([]);
  ctx.globalAlpha = 1;
}

/** Draw the clicks and the box of a prompt, on the screen's grid; signs tell them apart without colour. */
export function inkPrompt(ctx, view, clicks) {
  if (clicks.box) inkFrame(ctx, view, clicks.box);
  for (const [x, y, positive] of clicks.points) {
    const [sx, sy] = view.toScreen(x, y);
    disc(ctx, sx, sy, 6.5, positive ? "#16a34a" : "#dc2626");
    ctx.strokeStyle = "#fff";
    ctx.lineWidth = 1.75;
    ctx.beginPath();
    ctx.moveTo(sx - 3, sy); ctx.lineTo(sx + 3, sy);
    if (positive) { ctx.moveTo(sx, sy - 3); ctx.lineTo(sx, sy + 3); }
    ctx.stroke();
  }
}

function disc(ctx, x, y, r, colour) {
  ctx.beginPath();
  ctx.arc(x, y, r + 1.5, 0, 2 * Math.PI);
  ctx.fillStyle = "#fff";
  ctx.fill();
  ctx.beginPath();
  ctx.arc(x, y, r, 0, 2 * Math.PI);
  ctx.fillStyle = colour;
  ctx.fill();
}

/** Draw a box on the screen's grid, in black and white dashes that show on any picture. */
export function inkFrame(ctx, view, box) {
  const [x0, y0] = view.toScreen(box[0], box[1]), [x1, y1] = view.toScreen(box[2], box[3]);
  const rect = [Math.round(x0) + 0.5, Math.round(y0) + 0.5, Math.round(x1 - x0), Math.round(y1 - y0)];
  ctx.lineWidth = 1.5;
  ctx.strokeStyle = "rgba(0,0,0,.75)";
  ctx.strokeRect(...rect);
  ctx.setLineDash([5, 4]);
  ctx.strokeStyle = "#fff";
  ctx.strokeRect(...rect);
  ctx.setLineDash([]);
}

/** Draw a vertex or handle to take hold of. */
export function inkHandle(ctx, x, y, { hot = false, square = false, ghost = false, colour = "#2563eb" } = {}) {
  const r = hot ? 6 : ghost ? 3.5 : 4.5;
  ctx.beginPath();
  if (square) ctx.rect(x - r, y - r, 2 * r, 2 * r); else ctx.arc(x, y, r, 0, 2 * Math.PI);
  ctx.globalAlpha = ghost ? 0.85 : 1;
  ctx.fillStyle = hot ? colour : "#fff";
  ctx.fill();
  ctx.lineWidth = 1.75;
  ctx.strokeStyle = hot ? "#fff" : colour;
  ctx.stroke();
  ctx.globalAlpha = 1;
}

/** Draw the circle under a brush. */
export function inkCircle(ctx, x, y, r) {
  ctx.lineWidth = 2.5;
  ctx.strokeStyle = "rgba(0,0,0,.55)";
  ctx.beginPath();
  ctx.arc(x, y, Math.max(r, 1), 0, 2 * Math.PI);
  ctx.stroke();
  ctx.lineWidth = 1.25;
  ctx.strokeStyle = "#fff";
  ctx.stroke();
}

/** Draw the keyboard's cross-hair across the whole view. */
export function inkReticle(ctx, x, y, view) {
  for (const [width, colour] of [[3, "rgba(0,0,0,.45)"], [1, "#fff"]]) {
    ctx.lineWidth = width;
    ctx.strokeStyle = colour;
    ctx.beginPath();
    ctx.moveTo(0, y); ctx.lineTo(x - 8, y); ctx.moveTo(x + 8, y); ctx.lineTo(view.width, y);
    ctx.moveTo(x, 0); ctx.lineTo(x, y - 8); ctx.moveTo(x, y + 8); ctx.lineTo(x, view.height);
    ctx.stroke();
  }
  inkCircle(ctx, x, y, 8);
}

/** Write an object's class above its box, or inside where there is no room. */
export function inkLabel(ctx, view, object, colour) {
  const [x0, y0] = view.toScreen(object.figure.box[0], object.figure.box[1]);
  const name = object.class.length > 32 ? `${object.class.slice(0, 31)}…` : object.class;
  const text = object.draft ? `${name} · draft` : name;
  ctx.font = FONT;
  const w = ctx.measureText(text).width + 22;
  const x = Math.min(Math.max(x0, 4), Math.max(4, view.width - w - 4)), y = Math.min(Math.max(y0 - 25, 4), view.height - 26);
  ctx.fillStyle = "rgba(17,24,39,.86)";
  ctx.beginPath();
  ctx.roundRect(x, y, w, 20, 5);
  ctx.fill();
  ctx.fillStyle = colour;
  ctx.beginPath();
  ctx.arc(x + 10, y + 10, 4, 0, 2 * Math.PI);
  ctx.fill();
  ctx.fillStyle = "#fff";
  ctx.textBaseline = "middle";
  ctx.fillText(text, x + 18, y + 10.5);
}
