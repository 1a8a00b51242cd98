// Which models do what here: fields to choose them by, what is to be known of each, and what this browser chose last.

import { bytes, h, say, settings } from "../dom.js";

const KINDS = ["segmenter", "matter", "cutter", "detector"];

export class Choices {
  /** `app` offers stage, wire, trigger(name, data), emit of "choices". */
  constructor(app) {
    Object.assign(this, { app, offered: {}, first: {}, sample: false, see_through: [], chosen: { ...settings.read().matting } });
  }

  /** Ask what there is, for the image that is open; nothing is chosen for a person who has chosen. */
  async read() {
    const image = this.app.stage.image?.id;
    if (!image) return;
    const answer = await this.app.wire.ask("choices", { image });
    if (!answer.ok) return this.app.say(answer.error, "error");
    Object.assign(this, { offered: answer.offered, first: answer.first, sample: answer.sample, see_through: answer.see_through });
    this.#told();
  }

  /** The id of the model that does something now; a demo is kept only where it knows its way. */
  id(kind) {
    const { offered: { [kind]: cards = [] }, chosen } = this, card = cards.find((c) => c.id === chosen[kind]);
    return card && (!card.demo || this.sample) ? card.id : this.first[kind] ?? "";
  }

  card(kind) { return (this.offered[kind] ?? []).find((c) => c.id === this.id(kind)) ?? null; }

  choose(kind, id) {
    this.chosen[kind] = id;
    settings.write({ matting: { ...settings.read().matting, [kind]: id } });
    this.#told();
  }

  #told() {
    const all = Object.fromEntries(KINDS.map((kind) => [kind, this.id(kind)])), key = JSON.stringify(all);
    if (key !== this.last) {
      this.last = key;
      this.app.trigger("chose", all);
    }
    this.app.stage.emit("choices");
  }

  /** A field to choose by, with a line below it: licence, size, and what it is good for. */
  field(kind, label) {
    const select = h("select", { class: "om-select", aria: { label }, onchange: () => this.choose(kind, select.value) });
    const about = h("p", { class: "om-about" });
    const update = () => {
      const cards = this.offered[kind] ?? [];
      const key = cards.map((c) => c.id + c.state).join();
      if (select.key !== key) {
        select.key = key;
        select.replaceChildren(...cards.map((c) => h("option", { value: c.id }, c.title)));
      }
      select.value = this.id(kind);
      const card = this.card(kind);
      say(about, card ? [card.state === "absent" ? `to download: ${bytes(card.bytes)}` : "", card.licence ?? "",
        card.commercial === false ? "not for commercial use" : "", card.note ?? ""].filter(Boolean).join(" · ") : "");
      about.title = about.textContent;
      about.classList.toggle("om-noncommercial", card?.commercial === false);
    };
    this.app.stage.on("choices", update);
    return h("div", { class: "om-field" }, h("label", {}, h("span", {}, label), select), about);
  }
}
