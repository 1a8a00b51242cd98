// Phrases as they are typed, pasted, tied to classes and kept by a browser.

import assert from "node:assert/strict";
import test from "node:test";

import { MOST, named, parsed, Phrases } from "../../../studio/canvas/phrases/state.js";

const said = (phrases) => phrases.words.map((w) => w.phrase);

test("a list that is typed or pasted becomes phrases", () => {
  assert.deepEqual(parsed(" red  apple, mug=cup;-plate\n– leaf\t,, - ,…").map((w) => [w.phrase, w.class_name, w.negative]),
    [["red apple", "", false], ["mug", "cup", false], ["plate", "", true], ["leaf", "", true]]);
  assert.equal(parsed("x".repeat(5000))[0].phrase.length, 100);
  assert.deepEqual(parsed(null), []);
});

test("a phrase is there once, whatever its capitals", () => {
  const phrases = new Phrases();
  assert.equal(phrases.add("apple, Apple, pear"), 2);
  assert.equal(phrases.add("PEAR"), 0);
  assert.equal(phrases.change(0, { phrase: "Pear" }), false);
  assert.equal(phrases.change(0, { phrase: "  " }), false);
  assert.equal(phrases.change(0, { phrase: "plum", class_name: " ripe  fruit " }), true);
  assert.deepEqual(phrases.words[0], { phrase: "plum", class_name: "ripe fruit", threshold: null, negative: false });
});

test("all classes become phrases, less those that stand for one already", () => {
  const phrases = new Phrases();
  phrases.add("granny smith=apple, pear, -leaf=plum");
  assert.equal(phrases.addClasses(["apple", "Pear", "mug", "plum"]), 2);
  assert.deepEqual(said(phrases), ["granny smith", "pear", "leaf", "mug", "plum"]);
});

test("a class is the phrase less its article where none is given", () => {
  const [a, b, c] = parsed("a red apple, The mug, another thing=thing").map(named);
  assert.deepEqual([a, b, c], ["red apple", "mug", "thing"]);
});

test("what a browser kept is taken in as far as it makes sense", () => {
  const phrases = new Phrases();
  for (const nonsense of [null, 3, "text", { words: [] }]) { phrases.load(nonsense); assert.deepEqual(phrases.words, []); }
  phrases.load([null, 4, {}, { phrase: "mug", threshold: 0.4, negative: "yes" }, { phrase: "mug" }, { phrase: "pear", threshold: 7 }, { phrase: ["x"] }]);
  assert.deepEqual(phrases.words.slice(0, 2), [
    { phrase: "mug", class_name: "", threshold: 0.4, negative: false }, { phrase: "pear", class_name: "", threshold: null, negative: false }]);
  phrases.load(Array.from({ length: MOST + 50 }, (_, n) => ({ phrase: `thing ${n}` })));
  assert.equal(phrases.words.length, MOST);
});

test("a phrase's own threshold is set and taken back, one that is not there is nobody's", () => {
  const phrases = new Phrases();
  phrases.add("mug, pear");
  phrases.threshold("mug", 0.7);
  phrases.threshold("plum", 0.7);
  assert.deepEqual(phrases.words.map((w) => w.threshold), [0.7, null]);
  phrases.remove(0);
  assert.deepEqual(said(phrases), ["pear"]);
});
