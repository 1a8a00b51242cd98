// What is kept of what was found: thresholds, things taken out, classes left out.

import assert from "node:assert/strict";
import test from "node:test";

import { Findings } from "../../../studio/canvas/findings/state.js";

const item = (name, score) => ({ name, score, box: [0, 0, 1, 1] });

function some() {
  const findings = new Findings();
  findings.set([item("apple", 0.9), item("pear", 0.6), item("apple", 0.35), item("pear", 0.1)],
    [{ name: "apple", colour: "#f00" }, { name: "pear", colour: "#0f0" }]);
  return findings;
}

test("a threshold moves without asking for new findings", () => {
  const findings = some();
  assert.deepEqual(findings.chosen(), [0, 1, 2]);
  findings.threshold = 0.05;
  assert.deepEqual(findings.chosen(), [0, 1, 2, 3]);
  findings.threshold = 0.9;
  assert.deepEqual(findings.chosen(), [0], "a score at the threshold reaches it");
});

test("a class may have a threshold of its own", () => {
  const findings = some();
  findings.own.set("apple", 0.5);
  assert.deepEqual(findings.chosen(), [0, 1]);
  findings.threshold = 0.05;
  assert.deepEqual(findings.chosen(), [0, 1, 3]);
});

test("what is taken out stays out while the threshold moves, and is seen still", () => {
  const findings = some();
  findings.toggle(1);
  findings.threshold = 0.05;
  assert.deepEqual(findings.chosen(), [0, 2, 3]);
  assert.deepEqual(findings.reaching(), [0, 1, 2, 3]);
  findings.toggle(1);
  assert.deepEqual(findings.chosen(), [0, 1, 2, 3]);
});

test("a class is left out as a whole, and one thing of it may come back alone", () => {
  const findings = some();
  findings.toggleClass("apple");
  assert.deepEqual(findings.chosen(), [1]);
  findings.toggle(2);
  assert.deepEqual(findings.chosen(), [1, 2]);
  findings.toggleClass("apple");
  findings.toggleClass("apple");
  assert.deepEqual(findings.chosen(), [0, 1, 2], "taken in again as a whole, all of it is back");
});

test("classes are counted, those with most first", () => {
  const findings = some();
  findings.toggle(0);
  assert.deepEqual(findings.classes().map((c) => [c.name, c.total, c.reaching, c.kept]), [["apple", 2, 2, 1], ["pear", 2, 1, 1]]);
});

test("new findings forget what was taken out of the old ones, and keep the threshold", () => {
  const findings = some();
  findings.threshold = 0.5;
  findings.toggle(0);
  findings.set([item("apple", 0.9)], []);
  assert.deepEqual([findings.chosen(), findings.threshold, findings.colour(0)], [[0], 0.5, "#8a94a6"]);
});

test("findings that are all equally sure have no threshold to move", () => {
  const findings = new Findings();
  findings.set([item("sky", 1), item("road", 1)], []);
  assert.equal(findings.graded, false);
  assert.equal(some().graded, true);
});
