// A picture from the person's machine, made small before it is sent: a model looks at few of its pixels anyway.

import { packed } from './packing.js';

const SIDE = 1024;
const MOST = 30_000_000; // bytes of a file that the browser cannot open and that is sent as it is

/** The base64 of a picture. Raises an Error with a sentence where it is too large to be sent. */
export async function asSent(file) {
  let bitmap = null;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' });
  } catch {
    if (file.size > MOST) throw new Error(`“${file.name}” is too large to be looked for. Save it as a JPEG first.`);
    return packed(new Uint8Array(await file.arrayBuffer()));
  }
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = Object.assign(document.createElement('canvas'), {
    width: Math.max(1, Math.round(bitmap.width * scale)), height: Math.max(1, Math.round(bitmap.height * scale)),
  });
  canvas.getContext('2d').drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
  return packed(new Uint8Array(await blob.arrayBuffer()));
}
