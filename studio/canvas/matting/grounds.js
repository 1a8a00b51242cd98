// What lies behind a cut-out: squares, a colour, or a picture; or the alpha itself in grey.

import { Picture } from "../picture.js";

export const GROUNDS = [["checker", "Squares"], ["colour", "Colour"], ["picture", "Picture"], ["grey", "Alpha"]];
const SQUARE = 10; // screen pixels

/** The part of a picture that covers a place of another shape, as [x, y, width, height] of the picture. */
export function cover(width, height, wide, high) {
  const scale = Math.max(wide / width, high / height), w = wide / scale, h = high / scale;
  return [(width - w) / 2, (height - h) / 2, w, h];
}

export class Ground {
  kind = "checker";
  colour = "#2f9e63";
  picture = null; // {name, image: the id where it is of the project, file: what was uploaded, pixels}
  #squares = null;

  /** Take a picture of the project, or an uploaded file. Throws where it cannot be read. */
  async take({ name, image = null, url = null, file = null }) {
    const pixels = file ? await createImageBitmap(file, { imageOrientation: "from-image" }) : (await Picture.load(url)).levels[0].bitmap;
    this.picture?.pixels.close?.();
    this.picture = { name, image, file, pixels };
    this.kind = "picture";
  }

  /** Fill the rectangle [x, y, width, height] of the screen. */
  draw(ctx, [x, y, width, height]) {
    if (this.kind === "colour") ctx.fillStyle = this.colour;
    else if (this.kind === "grey") ctx.fillStyle = "#000";
    else {
      const pattern = this.#checker(ctx);
      pattern.setTransform(new DOMMatrix([1, 0, 0, 1, x, y]));
      ctx.fillStyle = pattern;
    }
    ctx.fillRect(x, y, width, height);
    if (this.kind !== "picture" || !this.picture) return;
    const { pixels } = this.picture;
    ctx.imageSmoothingQuality = "medium";
    ctx.drawImage(pixels, ...cover(pixels.width, pixels.height, width, height), x, y, width, height);
  }

  #checker(ctx) {
    if (!this.#squares) {
      const tile = document.createElement("canvas"), side = 2 * SQUARE, pen = tile.getContext("2d");
      tile.width = tile.height = side;
      pen.fillStyle = "#ffffff";
      pen.fillRect(0, 0, side, side);
      pen.fillStyle = "#d3d8df";
      pen.fillRect(0, 0, SQUARE, SQUARE);
      pen.fillRect(SQUARE, SQUARE, SQUARE, SQUARE);
      this.#squares = ctx.createPattern(tile, "repeat");
    }
    return this.#squares;
  }

  /** What a file is asked for with this behind the cut-out: {background, file}, empty where it stays see-through. */
  get wanted() {
    if (this.kind === "colour") return { background: this.colour };
    if (this.kind === "picture" && this.picture) return this.picture.file ? { file: this.picture.file } : { background: this.picture.image };
    return {};
  }
}
