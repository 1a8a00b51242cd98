// A cut-out as a file: what can be had, and how it is fetched.

/** What can be downloaded of one cut-out; with `behind` what is shown behind it goes into the file. */
export const FILES = [
  { title: "Cut-out, PNG", what: "cutout", kind: "png", bits: 8 },
  { title: "Cut-out, PNG of 16 bits", what: "cutout", kind: "png", bits: 16 },
  { title: "Cut-out, WebP", what: "cutout", kind: "webp", bits: 8 },
  { title: "As it is shown here, PNG", what: "composite", kind: "png", bits: 8, behind: true },
  { title: "As it is shown here, JPEG", what: "composite", kind: "jpeg", bits: 8, behind: true },
  { title: "Alpha, PNG of 8 bits", what: "alpha", kind: "png", bits: 8 },
  { title: "Alpha, PNG of 16 bits", what: "alpha", kind: "png", bits: 16 },
  { title: "Trimap, PNG", what: "trimap", kind: "png", bits: 8 },
  { title: "Foreground colours, PNG", what: "foreground", kind: "png", bits: 8 },
];

/** Return the address of a file, and the picture that goes there with the question, if any. */
export function request(image, annotation, file, ground) {
  const query = new URLSearchParams({ what: file.what, kind: file.kind, bits: String(file.bits) });
  const wanted = file.behind ? ground.wanted : {};
  if (wanted.background) query.set("background", wanted.background);
  return { url: `media/cut/${image}/${annotation}?${query}`, body: wanted.file ?? null };
}

/** The name in a Content-Disposition header. */
export function nameOf(header) {
  const coded = /filename\*=UTF-8''([^;]+)/.exec(header ?? ""), plain = /filename="([^"]+)"/.exec(header ?? "");
  try { return coded ? decodeURIComponent(coded[1]) : plain?.[1] ?? "cutout"; } catch { return plain?.[1] ?? "cutout"; }
}

/** Fetch a file and give it to the browser to be saved. Throws an Error with a sentence. */
export async function save(image, annotation, file, ground) {
  if (file.behind && !ground.wanted.background && !ground.wanted.file) throw new Error("Choose a colour or a picture to be shown on first; squares stand for nothing at all.");
  const { url, body } = request(image, annotation, file, ground);
  const response = await fetch(url, { method: body ? "POST" : "GET", body, credentials: "same-origin" });
  if (!response.ok) {
    const told = await response.json().catch(() => null);
    throw new Error(typeof told?.detail === "string" ? told.detail : "The file could not be made. Try again.");
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = nameOf(response.headers.get("content-disposition"));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
