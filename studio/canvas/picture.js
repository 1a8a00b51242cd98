// An image's pixels in halved sizes, so that a large photograph pans as smoothly as a small one.

const SMALLEST = 1024; // no level is made that would have a longer side below this

export class Picture {
  constructor(bitmap) {
    this.levels = [{ bitmap, ratio: 1 }];
    this.width = bitmap.width;
    this.height = bitmap.height;
  }

  /** Fetch and decode an image off the page's thread. Throws where it cannot be had or read. */
  static async load(url) {
    const response = await fetch(url, { credentials: "same-origin" });
    if (!response.ok) throw new Error(`The image answered ${response.status}.`);
    const picture = new Picture(await createImageBitmap(await response.blob()));
    picture.ready = picture.#halve();
    return picture;
  }

  async #halve() {
    let { bitmap } = this.levels[0];
    for (let ratio = 0.5; Math.max(this.width, this.height) * ratio >= SMALLEST; ratio /= 2) {
      bitmap = await createImageBitmap(bitmap, {
        resizeWidth: Math.max(1, Math.round(this.width * ratio)),
        resizeHeight: Math.max(1, Math.round(this.height * ratio)), resizeQuality: "medium",
      });
      this.levels.push({ bitmap, ratio });
    }
  }

  /** The smallest level that still has a pixel for each device pixel at `scale`. */
  level(scale) {
    let best = this.levels[0];
    for (const level of this.levels) if (level.ratio >= scale * 0.9) best = level;
    return best.bitmap;
  }

  /** Draw the part [x0, y0, x1, y1] of a width × height image into the same place of `ctx`. */
  draw(ctx, [x0, y0, x1, y1], width, height, scale) {
    const bitmap = this.level((scale * width) / this.width);
    const fx = bitmap.width / width, fy = bitmap.height / height;
    const left = Math.max(0, Math.floor(x0 * fx)), top = Math.max(0, Math.floor(y0 * fy));
    const right = Math.min(bitmap.width, Math.ceil(x1 * fx)), bottom = Math.min(bitmap.height, Math.ceil(y1 * fy));
    if (right <= left || bottom <= top) return;
    ctx.drawImage(bitmap, left, top, right - left, bottom - top,
      left / fx, top / fy, (right - left) / fx, (bottom - top) / fy);
  }

  close() { for (const { bitmap } of this.levels) bitmap.close?.(); }
}
