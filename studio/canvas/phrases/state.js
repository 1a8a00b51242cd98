// Phrases to look for, as they are typed, changed and kept: no page and no server, only the list.

export const MOST = 1000;
const LONGEST = 100;
const squeezed = (text) => String(text ?? "").trim().replace(/\s+/g, " ").slice(0, LONGEST);
const same = (a, b) => a.toLowerCase() === b.toLowerCase();

/** Read phrases with commas, semicolons or lines between; “=” ties one to a class, a “-” before it says it is not meant. */
export function parsed(text) {
  return String(text ?? "").split(/[,;\n\t]+/).map((part) => {
    const negative = /^\s*[-–]/.test(part), [phrase, ...rest] = part.replace(/^\s*[-–]\s*/, "").split("=");
    return { phrase: squeezed(phrase), class_name: squeezed(rest.join("=")), threshold: null, negative };
  }).filter((word) => /[\p{L}\p{N}]/u.test(word.phrase));
}

export class Phrases {
  words = []; // {phrase, class_name ("" for the phrase itself), threshold (null for that of all), negative}

  /** Take in what a browser kept; what makes no sense is left out. */
  load(kept) {
    this.words = [];
    for (const word of Array.isArray(kept) ? kept : []) {
      if (!word || typeof word !== "object") continue;
      const limit = word.threshold;
      this.#put({ phrase: squeezed(word.phrase), class_name: squeezed(word.class_name), negative: word.negative === true,
        threshold: typeof limit === "number" && limit >= 0 && limit <= 1 ? limit : null });
    }
  }

  #put(word) {
    if (!word.phrase || this.words.length >= MOST || this.words.some((w) => same(w.phrase, word.phrase))) return false;
    this.words.push(word);
    return true;
  }

  /** Add what somebody typed or pasted; returns how many are new. */
  add(text) { return parsed(text).filter((word) => this.#put(word)).length; }

  remove(n) { this.words.splice(n, 1); }
  clear() { this.words = []; }

  /** Change a phrase; an empty one, or one that is there already, stays what it was. Returns whether it was changed. */
  change(n, changes) {
    const word = this.words[n], next = { ...word, ...changes };
    next.phrase = squeezed(next.phrase);
    next.class_name = squeezed(next.class_name);
    if (!next.phrase || this.words.some((w, m) => m !== n && same(w.phrase, next.phrase))) return false;
    this.words[n] = next;
    return true;
  }

  threshold(phrase, value) {
    const word = this.words.find((w) => w.phrase === phrase);
    if (word) word.threshold = value;
  }

  /** Add those classes, as phrases, that no phrase stands for yet. */
  addClasses(names) {
    const there = (name) => this.words.some((w) => same(w.phrase, name) || (!w.negative && same(w.class_name, name)));
    const missing = names.filter((name) => !there(name));
    for (const name of missing) this.#put({ phrase: squeezed(name), class_name: "", threshold: null, negative: false });
    return missing.length;
  }
}

/** The class that a phrase's findings are of: the one it is tied to, or itself less its article. */
export const named = (word) => word.class_name || word.phrase.replace(/^(?:an?|the)\s+/i, "");
