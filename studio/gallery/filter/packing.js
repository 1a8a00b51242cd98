// Numbers as they travel: arrays in base64, little endian, so that 100,000 scores are one short string.

export function bytes(text) {
  const raw = atob(text);
  const found = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i += 1) found[i] = raw.charCodeAt(i);
  return found;
}

export const floats = (text) => new Float32Array(bytes(text).buffer);
export const wholes = (text) => new Uint32Array(bytes(text).buffer);
export const shorts = (text) => new Int16Array(bytes(text).buffer);

const PART = 0x8000; // arguments that a call may have

/** The base64 of any bytes or typed array. */
export function packed(array) {
  const raw = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = '';
  for (let i = 0; i < raw.length; i += PART) text += String.fromCharCode(...raw.subarray(i, i + PART));
  return btoa(text);
}

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/** The images that take part, by their rows: ids are 16 bytes each and become text only where they are needed. */
export function makeRoster() {
  let raw = new Uint8Array(0);
  let stamp = '';
  let rows = null;
  const id = (row) => {
    let text = '';
    for (let i = row * 16; i < row * 16 + 16; i += 1) text += HEX[raw[i]];
    return text;
  };
  return {
    id,
    get stamp() { return stamp; },
    get size() { return raw.length / 16; },
    /** The row of an id, or -1. */
    row(wanted) {
      if (!rows) {
        rows = new Map();
        for (let i = 0; i < raw.length / 16; i += 1) rows.set(id(i), i);
      }
      return rows.get(wanted) ?? -1;
    },
    /** The ids of rows as they are sent. */
    pack(wanted) {
      const found = new Uint8Array(wanted.length * 16);
      wanted.forEach((row, i) => found.set(raw.subarray(row * 16, row * 16 + 16), i * 16));
      return packed(found);
    },
    set(nextStamp, text) {
      raw = text ? bytes(text) : new Uint8Array(0);
      stamp = nextStamp;
      rows = null;
    },
  };
}
