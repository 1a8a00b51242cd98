// The way from a click to an alpha: three steps, each of which can be gone back to, and what is asked of the server.

import { settings } from "../dom.js";
import { clamp } from "../geometry.js";
import { Band, Latest, NARROWEST, WIDEST } from "./band.js";
import { INKS } from "./drawing.js";
import { GROUNDS } from "./grounds.js";
import { save } from "./keep.js";
import { Shell } from "../shell.js";

const TOOLS = { point: "smart", band: "paint", alpha: "look" };
const AREAS = ["mask", "polygon", "box", "alpha"]; // kinds of shapes that a trimap can be made from

export class Flow extends Shell {
  step = "point";
  level = "unknown";  // what the brush paints into the band
  compare = true;
  clean = true;
  split = 0.5;
  refining = { to: 1, strength: 1, softness: 6 };
  unknownShare = null;
  downloading = false;
  bands = new Map();  // id of an object → its Band, as long as its image is open

  begin() {
    const kept = settings.read().matting ?? {};
    if (typeof kept.compare === "boolean") this.compare = kept.compare;
    if (typeof kept.clean === "boolean") this.clean = kept.clean;
    if (/^#[0-9a-f]{6}$/i.test(kept.colour ?? "")) this.ground.colour = kept.colour;
    this.asking = new Latest((id) => this.#trimap(id));
  }

  remember(changes) { settings.write({ matting: { ...settings.read().matting, ...changes } }); }

  // ---- steps ----------------------------------------------------------------------------------

  get object() { return this.stage.object?.shape ? this.stage.object : null; }
  get band() { return this.object ? this.bandOf(this.object) : null; }
  get comparing() { return this.step === "alpha" && this.compare && !!this.matte.cutout; }

  bandOf(object) {
    if (!this.bands.has(object.id)) this.bands.set(object.id, new Band(object.shape?.kind === "alpha" && !!object.shape.trimap));
    return this.bands.get(object.id);
  }

  stepTool() { return TOOLS[this.step]; }

  setStep(step) {
    const { stage } = this, object = this.object;
    if (step !== "point") {
      if (!object) return this.say("Point out an object first: click it, drag a box, or write a word.");
      if (!AREAS.includes(object.shape.kind)) return this.say("This one has no area. Choose a mask, a polygon or a box.");
      if (object.shape.kind === "box") return this.#cutBox(object);
      object.candidates = null;
      stage.select(object.id); // its clicks are done with for now
    }
    const before = this.step;
    this.step = step;
    if (step !== "point") stage.cursor = null;
    stage.hideAll = step !== "point";
    if (!this.review.on) stage.setTool(TOOLS[step]);
    if (step !== before) this.matte.trimap(null);
    this.matte.pending = [];
    this.root.dataset.step = step;
    if (step === "band") this.askTrimap();
    if (step === "alpha") {
      if (before !== "alpha") this.#standAside();
      this.showAlpha();
    }
    stage.emit("step", { before });
    this.layers.draw("back", "top");
    this.matte.draw();
  }

  // A rectangle is no outline: the segmenter makes one of it first.
  #cutBox(object) {
    this.stage.select(object.id, { open: true });
    this.labelling.frame(object.shape.xyxy);
    this.say("The box is cut out first. Go on once its mask is right; undo brings the box back.");
  }

  /** On to what comes next: the band, the alpha, the next object. False where there is nothing to go on with. */
  forward() {
    const { object } = this;
    if (this.step === "alpha") return object?.shape.kind === "alpha" ? this.accept() : this.make();
    if (this.step === "band") return this.make();
    if (!object) return false;
    this.setStep(object.shape.kind === "alpha" ? "alpha" : "band");
    return true;
  }

  backward() {
    if (this.task.running) return this.task.stop();
    if (this.step === "alpha" && this.stage.tool === "refine") return this.stage.setTool("look");
    if (this.step === "alpha") return this.setStep("band");
    if (this.step === "band") return this.setStep("point");
    return this.stage.active ? this.labelling.putAside() : this.stage.select(null);
  }

  /** Keep the alpha, and go back to point out the next object. */
  accept() {
    const { object } = this;
    if (!object) return false;
    if (object.draft) this.labelling.accept();
    else this.stage.select(null);
    this.setStep("point");
    return true;
  }

  /** What is looked at may have been changed here, by an undo, or by somebody else. */
  sync() {
    const { step, object } = this;
    if (step === "point" || this.review.on) return;
    if (!object) return this.setStep("point");
    if (step === "alpha") object.shape.kind === "alpha" ? this.showAlpha() : this.setStep("band");
    else if (this.asked !== object.figure) this.askTrimap();
  }

  // ---- the band -------------------------------------------------------------------------------

  askTrimap() {
    if (!this.object) return;
    this.asked = this.object.figure;
    this.asking.ask(this.object.id);
    this.stage.emit("band");
  }

  async #trimap(id) {
    const { stage } = this, image = stage.image?.id;
    await this.settled();
    const object = stage.objects.get(id), strokes = [...this.matte.pending];
    if (!object?.shape || this.object?.id !== id || stage.image?.id !== image) return;
    const asked = this.bandOf(object).request(), refining = this.step === "alpha";
    if (refining) Object.assign(asked, { kept: true, strokes: [] });
    if (asked.band.see_through.length) asked.band.detector = this.choices.id("detector");
    stage.emit("loading", true);
    const answer = await this.wire.ask("trimap", { image, annotation: id, ...asked });
    stage.emit("loading", false);
    if (this.object?.id !== id || stage.image?.id !== image || this.step === "point") return;
    if (!answer.ok) {
      this.say(answer.error, "error");
      if (answer.kind !== "Broken" && this.bandOf(object).undo()) this.asking.ask(id); // back to what could be worked out
      else if (this.step === "band") this.setStep("point");
      return;
    }
    if (!refining) this.matte.pending = this.matte.pending.filter((s) => !strokes.includes(s));
    this.#seenThrough(id, asked, answer.share);
    this.unknownShare = answer.share;
    this.matte.trimap(answer);
    stage.emit("band");
  }

  // Words that changed nothing found nothing.
  #seenThrough(id, { band: { see_through: words, ...band }, strokes }, share) {
    const key = JSON.stringify([id, band.width, band.pixels, strokes.length]), { before } = this;
    this.before = { key, words: words.join(), share };
    const added = words.length && before?.key === key && before.words !== words.join();
    if (added && before.share === share) this.say(`Nothing that is called ${words.join(" or ")} was found on the object.`);
  }

  setBand(changes, merge = null) {
    if (!this.band) return;
    this.band.set(changes, merge);
    this.askTrimap();
  }

  widen(factor) {
    const { band } = this;
    if (this.step !== "band" || !band) return false;
    const { pixels, width } = band.now;
    if (pixels) this.setBand({ pixels: clamp(Math.round(pixels * factor * 2) / 2 + (factor > 1 ? 0.5 : -0.5), 0.5, 500) }, "width");
    else this.setBand({ width: clamp(width * factor, NARROWEST, WIDEST) }, "width");
  }

  setLevel(level) {
    this.level = level;
    if (this.step === "band") this.stage.setTool("paint");
    this.stage.emit("settings", {});
  }

  levelOf(p) {
    if (!p.negative) return this.level;
    return this.level === "unknown" ? "background" : this.level === "background" ? "foreground" : "background";
  }

  paintInk(p) { return INKS[this.levelOf(p)]; }

  painted(counts, p, shown) {
    if (!this.band) return;
    this.band.paint(this.levelOf(p), counts);
    this.matte.pending.push(shown);
    this.matte.draw();
    this.askTrimap();
  }

  clearBand() { if (this.band?.clear()) this.askTrimap(); }

  // ---- the alpha ------------------------------------------------------------------------------

  async make() {
    const { stage, task } = this, { object } = this;
    if (!object || task.running) return;
    if (!AREAS.includes(object.shape.kind)) return this.say("This one has no area. Choose a mask, a polygon or a box.");
    if (this.step === "point" && object.shape.kind === "alpha") return this.setStep("alpha");
    if (object.shape.kind === "box") return this.#cutBox(object);
    const image = stage.image.id, { id } = object, band = this.bandOf(object);
    object.candidates = null;
    await this.settled();
    const asked = band.request();
    if (asked.band.see_through.length) asked.band.detector = this.choices.id("detector");
    const answer = await task.run("matte", { image, annotation: id, revision: object.revision, matter: this.choices.id("matter"), ...asked });
    if (!this.#took(image, answer)) return;
    if (stage.image?.id !== image) return;
    band.made();
    const made = answer.annotations[0];
    if (stage.selected !== made.id) stage.select(made.id);
    this.setStep("alpha");
    this.announce(`Alpha made in ${answer.seconds.toFixed(1)} seconds.`);
  }

  async alone() {
    const { stage } = this;
    if (!stage.image) return;
    if (!stage.className) this.addClass("object");
    const image = stage.image.id;
    const answer = await this.task.run("alone", { image, cutter: this.choices.id("cutter"), class: stage.className ?? "object" });
    if (!this.#took(image, answer) || stage.image?.id !== image) return;
    stage.select(answer.annotations[0].id);
    this.setStep("alpha");
  }

  async findWords(words) {
    const { stage } = this, image = stage.image?.id;
    if (!image) return;
    if (!words.trim()) return this.say("Write what to look for first, such as “feather”.");
    const answer = await this.task.run("words", { image, words, detector: this.choices.id("detector"), segmenter: this.choices.id("segmenter") });
    if (!this.#took(image, answer) || stage.image?.id !== image) return;
    const found = answer.annotations;
    if (!found.length) return this.say(`Nothing that is called ${words.trim()} was found here. Try another word, or click it.`);
    stage.select(found[0].id);
    if (found.length > 1) this.say(`${found.length} were found, each a draft. Choose one in the list or in the picture.`);
  }

  /** Take over what a task saved; false where it failed or was stopped. */
  #took(image, answer) {
    if (!answer.ok) {
      this.say(answer.error, answer.stopped ? "info" : "error");
      return false;
    }
    if (answer.seconds === undefined) this.resync(); // several changes, whose versions only the server knows
    this.labelling.merged(image, [], answer);
    if (this.stage.image?.id !== image) {
      this.session.forget(image);
      this.say("What was begun on the image before is done. Go back there to see it.");
    }
    (answer.notes ?? []).forEach((note) => this.say(note));
    return true;
  }

  async showAlpha() {
    const { stage, matte } = this, { object } = this, image = stage.image.id;
    if (object?.shape.kind !== "alpha") { matte.cutout = null; return matte.draw(); }
    const { digest } = object.shape, held = this.cutouts.get(image, digest);
    if (held.picture && matte.cutout === held.picture) return;
    if (held.picture) return this.#shown(held.picture);
    if (matte.of !== object.id) matte.cutout = null;
    stage.emit("loading", true);
    try {
      const picture = await held;
      if (this.object?.shape.digest !== digest || this.step !== "alpha") return;
      this.#shown(picture);
      picture.ready?.then(() => matte.draw());
    } catch (error) {
      if (this.object?.shape.digest === digest) this.say(`The cut-out cannot be shown: ${error.message}`, "error");
    } finally { stage.emit("loading", false); }
  }

  #shown(picture) {
    Object.assign(this.matte, { cutout: picture, of: this.object.id, pending: [] });
    this.matte.draw();
    this.stage.emit("shown");
    if (this.stage.tool === "refine") this.askTrimap();
  }

  showOn(kind, { colour } = {}) {
    const { ground } = this;
    ground.kind = kind;
    if (colour) { ground.colour = colour; this.remember({ colour }); }
    this.stage.emit("shown");
    this.matte.draw();
  }

  nextGround() {
    if (this.step !== "alpha") return false;
    const kinds = GROUNDS.map(([kind]) => kind);
    this.showOn(kinds[(kinds.indexOf(this.ground.kind) + 1) % kinds.length]);
  }

  async takePicture(wanted) {
    try {
      await this.ground.take(wanted);
      this.stage.emit("shown");
      this.matte.draw();
    } catch { this.say(`“${wanted.name}” cannot be read as a picture. Choose a JPEG, PNG or WebP.`, "error"); }
  }

  async readPictures() {
    const image = this.stage.image?.id;
    if (!image || this.picturesOf === image) return;
    this.picturesOf = image;
    const answer = await this.wire.ask("pictures", { image });
    if (answer.ok) this.stage.emit("pictures", answer.pictures);
    else this.picturesOf = null;
  }

  setCompare(on) { this.compare = on; this.remember({ compare: on }); this.stage.emit("shown"); this.matte.draw(); }
  setClean(on) { this.clean = on; this.remember({ clean: on }); this.stage.emit("shown"); this.matte.draw(); }

  // The line between before and after begins beside the object, so that all of the cut-out is seen first.
  #standAside() {
    const box = this.object.figure?.box, { image } = this.stage;
    if (box) this.split = clamp(box[0] / image.width - 0.03, 0.02, 0.98);
  }

  splitAt(sx) {
    const [x, , width] = this.matte.place();
    this.split = clamp((sx - x) / width, 0, 1);
    this.matte.draw();
  }

  setRefine(to) {
    if (this.step !== "alpha" || this.object?.shape.kind !== "alpha") return false;
    const again = this.stage.tool === "refine" && this.refining.to === to;
    this.refining.to = to;
    this.stage.setTool(again ? "look" : "refine");
    if (!again && !this.matte.figures) this.askTrimap();
    this.stage.emit("settings", {});
    this.matte.draw();
  }

  towards(p) { return p.negative ? 1 - this.refining.to : this.refining.to; }
  refineInk(p) { return INKS[this.towards(p) ? "foreground" : "background"]; }

  /** Paint in the alpha; the server changes nothing outside of the band. */
  refined(counts, p, shown) {
    const { stage, refining } = this, { object } = this, image = stage.image.id;
    const touch = { mask: counts, to: this.towards(p), strength: refining.strength, softness: refining.softness };
    this.matte.pending.push(shown);
    this.matte.draw();
    this.wire.send({
      op: "refine", image, ids: [object.id], version: this.labelling.versionOf(image),
      build: () => (object.gone || object.shape.kind !== "alpha" ? null : { annotation: object.id, revision: object.revision, touches: [touch] }),
      done: (answer) => {
        this.labelling.merged(image, [object], answer);
        (answer.notes ?? []).forEach((note) => this.say(note));
        if (this.object?.shape.digest && this.cutouts.get(image, this.object.shape.digest).picture) this.matte.pending = [];
        this.sync();
        this.matte.draw();
      },
      refused: (answer) => {
        this.matte.pending = [];
        this.matte.draw();
        this.labelling.notTaken(answer, image);
      },
    });
  }

  async download(file) {
    const { stage } = this, { object } = this;
    if (object?.shape.kind !== "alpha" || this.downloading) return;
    this.downloading = true;
    stage.emit("shown");
    try {
      await this.settled();
      await save(stage.image.id, object.id, file, this.ground);
    } catch (error) { this.say(error.message, "error"); }
    this.downloading = false;
    stage.emit("shown");
  }
}
